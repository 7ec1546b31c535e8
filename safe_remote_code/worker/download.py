"""Files of a Hub repository, brought into the cache by the parent: a worker has no network."""

from __future__ import annotations

from typing import Any, Final

from ..errors import FetchError

#: Data that from_pretrained may read. Pickled weights are left out; code comes by the ordinary fetch.
_DATA: Final = ("*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken", "*.bpe", "*.py")
_WEIGHTS: Final = ("*.safetensors",)


def bring(repo: str, commit: str | None, options: dict[str, Any], *, weights: bool) -> None:
    """Have the files of `repo` at `commit` in the cache.

    Raises:
        FetchError: they cannot be had.
    """
    from huggingface_hub import constants, snapshot_download

    if options.get("local_files_only") or constants.HF_HUB_OFFLINE:
        return
    patterns = [*_DATA, *(_WEIGHTS if weights else ())]
    try:
        snapshot_download(
            repo, revision=commit, cache_dir=options.get("cache_dir"), token=options.get("token"),
            force_download=bool(options.get("force_download")), repo_type=options.get("repo_type"),
            allow_patterns=patterns,
        )  # fmt: skip
    except Exception as error:  # the client lets errors of several HTTP libraries through
        raise FetchError(f"download failed: {type(error).__name__}: {error}", subject=repo,
                         remedy="try again") from error  # fmt: skip
