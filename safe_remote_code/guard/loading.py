"""`from_pretrained` of remote classes: the folder or repository that a *user* names may be read by their code.

The Auto classes say what they load before there is a class. A user who holds the class asks it directly
(`type(tokenizer).from_pretrained("checkpoint")`); remote code that does so opens nothing, nor does a library.
"""

from __future__ import annotations

import functools
import os
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from ..errors import RefusedError
from ..fetch.local import allowed_roots
from ..reference import RepoSource, parse_source
from .ownership import context_on_stack, definer

if TYPE_CHECKING:
    from types import FrameType

    from .context import PackageContext

_LOADER: Final = "from_pretrained"
#: They hand on what configuration files name, such as the base of an adapter.
_HANDING_ON: Final = ("transformers.", "peft.")


def read_roots(source: RepoSource, cache_dir: str | None = None) -> set[str]:
    """The real folders in which the files of `source` lie: its own, or its part of the Hub cache."""
    if source.kind == "local":
        return set(allowed_roots(source.location))
    from huggingface_hub import constants

    folder = "--".join([f"{source.repo_type}s", *source.location.split("/")])
    return {os.path.realpath(os.path.join(cache_dir or constants.HF_HUB_CACHE, folder))}


def watch_loader(cls: Any, context: PackageContext) -> None:
    """Let `cls.from_pretrained`, its own or inherited, open for reading what a user's call names."""
    home = definer(cls, _LOADER)
    made = home.__dict__[_LOADER] if home is not None else None
    if not isinstance(made, classmethod) or not isinstance(made.__func__, FunctionType) or hasattr(made, "_watched"):
        return
    own = made.__func__ if home is cls else None

    @functools.wraps(made.__func__)
    def from_pretrained(kind: Any, *arguments: Any, **keywords: Any) -> object:
        named = arguments[0] if arguments else keywords.get("pretrained_model_name_or_path")
        if isinstance(named, str | os.PathLike) and _asked_by_user(sys._getframe(1)):
            _open(named, keywords.get("cache_dir"), context)
        act = getattr(super(cls, kind), _LOADER) if own is None else functools.partial(own, kind)
        return act(*arguments, **keywords)

    loader = classmethod(from_pretrained)
    loader._watched = True  # type: ignore[attr-defined]  # ours
    type.__setattr__(cls, _LOADER, loader)


def _asked_by_user(frame: FrameType) -> bool:
    direct = not str(frame.f_globals.get("__name__")).startswith(_HANDING_ON)
    return direct and context_on_stack(frame) is None


def _open(named: str | os.PathLike[str], cache_dir: Any, context: PackageContext) -> None:
    try:
        source = parse_source(named)
    except RefusedError:
        return  # the library says what is wrong with it
    context.read_roots |= read_roots(source, None if cache_dir is None else os.fspath(cache_dir))
    context.repositories.add(source.location)
