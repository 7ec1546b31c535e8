"""Flags of libraries that real code sets at import: numbers and truth values that choose kernels or bound work.

One table for analysis and guard. They reach nothing; a name that holds a path, a hook or a text is not among them.
"""

from __future__ import annotations

from typing import Final

_DYNAMO: Final = "torch._dynamo.config."
_LIMITS: Final = (
    "cache_size_limit", "recompile_limit", "accumulated_cache_size_limit", "accumulated_recompile_limit",
)  # fmt: skip
_CUDNN: Final = ("benchmark", "deterministic", "enabled", "allow_tf32")

#: What each may be set to, by kind.
FLAGS: Final[dict[str, tuple[type, ...]]] = {
    "torch.backends.cuda.matmul.allow_tf32": (bool,),
    **{f"torch.backends.cudnn.{name}": (bool,) for name in _CUDNN},
    **{f"{_DYNAMO}{name}": (int,) for name in _LIMITS},
    f"{_DYNAMO}suppress_errors": (bool,),
    "PIL.ImageFile.LOAD_TRUNCATED_IMAGES": (bool,),
    "PIL.Image.MAX_IMAGE_PIXELS": (int, type(None)),
}
#: These stay with the package: how often something is compiled, and a check against bombs that the user relies on.
KEPT: Final = frozenset([*(f"{_DYNAMO}{name}" for name in _LIMITS), "PIL.Image.MAX_IMAGE_PIXELS"])
