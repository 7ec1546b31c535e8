"""What a facade hands out that is neither a class nor a function: containers as views, other objects not to be changed.

Guarantee: no container of a library is handed over, whatever is asked of its view; and an object that is
one for all, such as `scipy.stats.norm`, is noted, so that `guard write` refuses to change it.
"""

from __future__ import annotations

import copy
import functools
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from ..errors import GuardViolationError
from ..refusal_log import LOG
from .ownership import Sealed, share_kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PLAIN_DICTS: Final = (dict, OrderedDict, defaultdict, Counter)
#: What classes of libraries hold for all their instances.
TABLES: Final = (dict, list, set)
#: Flags that real code sets (`torch.backends.cuda.matmul.allow_tf32`), and what is ours.
_WRITABLE_KINDS: Final = ("torch.backends.", "safe_remote_code.")


def share(real: object) -> None:
    """A library's object that is no class, function or value is one for all: its kind may not be written to."""
    kind = type(real)
    top = kind.__module__.partition(".")[0]
    if (
        top not in sys.stdlib_module_names
        and not kind.__module__.startswith(_WRITABLE_KINDS)
        and not callable(getattr(kind, "__torch_function__", None))
    ):
        share_kind(kind)


def read_only(real: object) -> object:
    """Containers of a library are shown, not handed over."""
    if isinstance(real, dict):
        # Of a copy: `proxy == x` and `proxy | x` hand the mapping itself to the `__eq__` and `__ror__` of `x`.
        return MappingProxyType(copied(real)) if type(real) in _PLAIN_DICTS else _View(real)
    if type(real) in (list, set) or _is_array(real):
        return copied(real)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(real, torch.nn.Module):
        return copy.deepcopy(real)  # transformers.activations.gelu: hooks and parameters of one for all
    if isinstance(real, functools._lru_cache_wrapper):
        return _answering_copies(real)
    if any(base.__qualname__ == "GeneralInterface" for base in type(real).__mro__):
        return type(real)()  # transformers' registries of functions: same entries, assignments stay here
    return real


def _answering_copies(real: Callable[..., Any]) -> Callable[..., Any]:
    """A library function that remembers its answers, and gives everybody the same list or dictionary."""

    @functools.wraps(real)
    def call(*arguments: object, **keywords: object) -> object:
        return copied(real(*arguments, **keywords))

    return call


def copied(value: Any) -> Any:
    """`value`, or a copy of the containers and tensors that it is made of."""
    if type(value) in (dict, OrderedDict):
        return type(value)((key, copied(item)) for key, item in value.items())
    if type(value) in (list, set, tuple):
        return type(value)(map(copied, value))
    if _is_array(value):
        return value.clone() if hasattr(value, "clone") else value.copy()
    return copy.copy(value) if type(value) in _PLAIN_DICTS else value


def is_changeable(value: object) -> bool:
    """Whether `copied` makes another one of it."""
    return type(value) in (*_PLAIN_DICTS, list, set, tuple) or _is_array(value)


def _is_array(value: object) -> bool:
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    return (torch is not None and isinstance(value, torch.Tensor)) or (
        numpy is not None and isinstance(value, numpy.ndarray)
    )


@final
class _View(Mapping[object, object], Sealed):
    """A library's mapping with a look-up of its own (`ACT2FN`, `MODEL_MAPPING`), to be read."""

    def __init__(self, real: Mapping[object, object]) -> None:
        _VIEWED[id(self)] = (self, real)

    def __getitem__(self, key: object) -> object:
        return _VIEWED[id(self)][1][key]

    def __contains__(self, key: object) -> bool:
        return key in _VIEWED[id(self)][1]

    def __iter__(self) -> Iterator[object]:
        return iter(list(_VIEWED[id(self)][1]))

    def __setitem__(self, key: object, value: object) -> NoReturn:
        raise LOG.record(GuardViolationError(f"entry {key!r:.60} of a library's mapping may not be changed"))

    def __delitem__(self, key: object) -> NoReturn:
        self[key] = None

    def __len__(self) -> int:
        return len(_VIEWED[id(self)][1])


#: By `id`, and alive: remote code holds the view, and must find nothing on it.
_VIEWED: Final[dict[int, tuple[_View, Mapping[object, object]]]] = {}
