"""Look-ups by computed name in the code of libraries, made for remote code.

Much library code reads `getattr(self, self.name)` or writes `setattr(config, key, value)`, where remote code chose
object and name. Each library module that is loaded gets a `getattr`, a `setattr` and a `vars` of its own, which do
what the builtins do, but for remote code (that is: with it on the stack) do not

1. read a special name, or what leads to frames and code, that the calling function does not spell; or show the
   namespace of a module, or what is special in that of a class or function;
2. hand out a module, but for the device modules that torch itself looks up, or a sink of the capability table, or a
   method that the table lists: whoever got `save_pretrained` so would hold it without our wrapper;
3. write to a foreign class, function or module, or under a special name.

It does not see: attribute instructions, `object.__setattr__`, `vars(x).update(...)`; methods that use these are in the
capability table. `inspect`, `typing` and the compilers keep the builtins: they are mediated.
"""

from __future__ import annotations

import builtins
import logging
import sys
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from ...capability import shipped_capabilities
from ...grammar import CHECKED, INTROSPECTION, READABLE, WRITABLE, is_dunder
from ...places import PYTHON_FOLDERS_AS_SPELLED
from ..ownership import (
    PACKAGE_PREFIX,
    context_on_stack,
    descends_from_own,
    is_remote_globals,
    owns,
)
from ..receivers import loaded_classes
from ..refusal import refuse
from ..shown import TABLES, copied

if TYPE_CHECKING:
    from types import FrameType

#: Special names that tell nothing but texts and what the operators of an object do anyway.
_TELLING: Final = (READABLE - CHECKED) | {"__wrapped__"}
#: Of an instance of a remote class, which keeps them in order.
_OF_OWN: Final = frozenset(["__dict__", "__class__"])
_FOREIGN: Final = (type, FunctionType, BuiltinFunctionType, MethodType, ModuleType, logging.Logger)
#: `getattr(torch, device.type)`, in torch and accelerate.
_DEVICES: Final = frozenset(["cpu", "cuda", "xpu", "mps", "mtia", "hpu", "npu", "mlu", "musa", "sdaa", "maia", "xla"])
#: Write names of their own tables to modules: lazy modules and `torch.ops` keep what they looked up, the functions
#: of `torch.nn.init` are replaced while a model is made without initial weights, and a class of the table of tokenizers
#: gets its own name with "Fast" behind it, in the module that defines it.
_WRITERS: Final = frozenset(
    ["transformers.utils.import_utils", "transformers.initialization", "transformers.modeling_utils", "torch._ops",
     "transformers.models.auto.tokenization_auto.tokenizer_class_from_name"]
)  # fmt: skip
#: Read modules, or functions of modules, under the names of a table of constants of their own.
_BY_OWN_TABLE: Final = frozenset(
    ["transformers.utils.auto_docstring.get_placeholders_dict", "torch.nn.attention._sdpa_kernel",
     "torch.serialization._save.<locals>.persistent_id"]
)  # fmt: skip
#: Reads the names that remote code asks a facade for, and judges what it found before it hands out any of it.
_FACADE: Final = "safe_remote_code.guard.facade.Facades._resolve"
#: Reflect on functions for a living; what remote code may ask them is decided elsewhere.
_EXEMPT: Final = (
    "safe_remote_code.", "functools.", "dataclasses.", "enum.", "inspect.", "typing.", "typing_extensions.", "ast.",
    "dis.", "linecache.", "traceback.", "importlib.", "_frozen_", "zipimport.", "unittest.", "torch._dynamo.",
    "torch._inductor.", "torch._functorch.", "torch._guards.", "torch._logging.", "torch.jit.", "torch._jit_internal.",
    "torch._sources.", "torch.fx.", "torch.export.", "torch._export.", "torch._higher_order_ops.",
    "torch._subclasses.", "torch._numpy.", "torch.overrides.", "torch.nn.utils.parametrize.", "torch.utils._sympy.",
    "sympy.", "mpmath.", "triton.", "pytest.", "_pytest.", "pluggy.", PACKAGE_PREFIX,
)  # fmt: skip
#: torch.compile takes whatever these hold for a function of theirs.
_COUNTED: Final = frozenset(["operator", "numpy", "numpy.fft", "numpy.linalg", "numpy.random"])
_MISSING: Final = object()
#: Attributes of the capability table that take paths, or are refused.
_LISTED: Final = frozenset(
    name
    for name, entry in shipped_capabilities().attributes.items()
    if entry.kind in ("write-path", "read-path", "refused", "instance")
)
#: Those that hold what all instances share.
_SHARED: Final = frozenset(name for name, entry in shipped_capabilities().attributes.items() if entry.kind == "copy")
#: Names without underscores that say more of some objects than remote code may know.
_BY_HAND: Final = frozenset(name for name in CHECKED if not is_dunder(name))
_CONSTANTS: Final = (int, float, str, bytes, bool, type(None))

_builtin_getattr: Final = builtins.getattr
_builtin_setattr: Final = builtins.setattr
_builtin_vars: Final = builtins.vars


def _getattr(obj: Any, name: str, default: Any = _MISSING, /) -> Any:
    if type(name) is not str and isinstance(name, str):
        name = str.__str__(name)  # a subclass may say that it is equal to nothing
    if name[:2] == "__" or name in INTROSPECTION:
        _check_read(obj, name)
    value = _builtin_getattr(obj, name) if default is _MISSING else _builtin_getattr(obj, name, default)
    if name in _LISTED and not isinstance(value, _CONSTANTS):
        _check_listed(obj, name)
    if name in _BY_HAND and not isinstance(value, _CONSTANTS) and not owns(value):
        _check_by_hand(name)
    if isinstance(value, ModuleType) or isinstance(obj, ModuleType):
        _check_found(obj, name, value)
    if name in _SHARED and type(value) in TABLES:
        return _private(name, value)
    return value


def _setattr(obj: Any, name: str, value: Any, /) -> None:
    if type(name) is not str and isinstance(name, str):
        name = str.__str__(name)
    if isinstance(obj, _FOREIGN) or name[:2] == "__":
        _check_write(obj, name)
    _builtin_setattr(obj, name, value)


def _check_read(obj: object, name: str) -> None:
    caller = sys._getframe(2)
    if name in _TELLING or not (is_dunder(name) or name in INTROSPECTION) or _spells(caller.f_code, name):
        return
    if name in _OF_OWN and descends_from_own(type(obj)):
        return
    if context_on_stack(caller) is not None:
        refuse(f"{_where(caller)} reads {name!r}, a name that remote code chose")


def _vars(*arguments: Any) -> Any:
    if not arguments:
        return sys._getframe(1).f_locals
    shown, caller = arguments[0], sys._getframe(1)
    namespace = _builtin_vars(shown)
    if not isinstance(shown, _FOREIGN) or context_on_stack(caller) is None:
        return namespace
    if isinstance(shown, ModuleType):
        if _module(caller) in _WRITERS:
            return namespace
        refuse(f"{_where(caller)} shows the namespace of {shown!r:.60}")
    return {name: value for name, value in namespace.items() if not is_dunder(name)}


def _check_listed(obj: object, name: str) -> None:
    caller = sys._getframe(2)
    if isinstance(obj, ModuleType) or _spells(caller.f_code, name):
        return
    entry = shipped_capabilities().attributes[name]
    kind = obj if isinstance(obj, type) else type(obj)
    if entry.receivers and not issubclass(kind, loaded_classes(entry.receivers)):
        return
    context = context_on_stack(caller)
    if context is not None and entry.capability not in context.granted.capabilities:
        refuse(f"{_where(caller)} reads {name!r} ({entry.capability}), a name that remote code chose")


def _check_by_hand(name: str) -> None:
    caller = sys._getframe(2)
    if not _spells(caller.f_code, name) and context_on_stack(caller) is not None:
        refuse(f"{_where(caller)} reads {name!r}, a name that remote code chose")


def _private(name: str, value: Any) -> Any:
    caller = sys._getframe(2)
    return value if _spells(caller.f_code, name) or context_on_stack(caller) is None else copied(value)


def _check_found(obj: object, name: str, value: object) -> None:
    caller = sys._getframe(2)
    of_device = name in _DEVICES and f"{_module(caller)}.".startswith(("torch.", "accelerate."))
    if of_device or _spells(caller.f_code, name):
        return
    context = context_on_stack(caller)
    if context is None:
        return
    if type(value).__module__ == "torch._ops":
        return  # a namespace of operators; it says that it is a module
    if _where(caller) in _BY_OWN_TABLE or _answers_facade(caller):
        return
    if isinstance(value, ModuleType) and _is_lazily_found(caller, obj, value):
        return
    if isinstance(value, ModuleType) and not is_remote_globals(id(vars(value))):
        refuse(f"{_where(caller)} reads the module {value.__name__!r} under a name that remote code chose")
    if isinstance(obj, ModuleType) and isinstance(value, type | FunctionType | BuiltinFunctionType):
        sink = shipped_capabilities().sink(f"{obj.__name__}.{name}")
        if sink is not None and sink.capability not in context.granted.capabilities:
            refuse(f"{_where(caller)} reads {obj.__name__}.{name} ({sink.capability}), a name that remote code chose")


def _answers_facade(frame: FrameType | None) -> bool:
    """Whether lazy modules of a library, one asking the other, answer a facade: nothing of remote code in between."""
    while frame is not None and (frame.f_code is _getattr.__code__ or frame.f_code.co_name == "__getattr__"):
        if is_remote_globals(id(frame.f_globals)):
            return False
        frame = frame.f_back
    return frame is not None and _where(frame) == _FACADE


def _is_lazily_found(caller: FrameType, obj: object, value: ModuleType) -> bool:
    """Whether a lazy module answers for a part of its package; who asked it for a chosen name is asked as well."""
    top = obj.__name__.partition(".")[0] if isinstance(obj, ModuleType) else ""
    return caller.f_code.co_name == "__getattr__" and value.__name__.startswith(f"{top}.")


def _check_write(obj: object, name: str) -> None:
    caller = sys._getframe(2)
    if _spells(caller.f_code, name) or context_on_stack(caller) is None:
        return
    if isinstance(obj, ModuleType) and (_module(caller) in _WRITERS or _where(caller) in _WRITERS):
        return
    if isinstance(obj, _FOREIGN) and not owns(obj):
        what = _builtin_getattr(obj, "__name__", type(obj).__name__)
        refuse(f"{_where(caller)} sets {name!r} of {what}, which remote code does not own")
    if is_dunder(name) and (name not in WRITABLE or name == "__dict__"):
        refuse(f"{_where(caller)} sets {name!r}, a name that remote code chose")


def _spells(code: CodeType, name: str) -> bool:
    """Whether the text of a library itself says `name`, or a tuple of names with it."""
    return any(name == item or (type(item) is tuple and name in item) for item in code.co_consts)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _where(frame: FrameType) -> str:
    return f"{_module(frame)}.{frame.f_code.co_qualname}"


def watch_module(name: str, namespace: dict[str, Any]) -> None:
    """Give module `name` its own `getattr`, `setattr` and `vars`, if it is an installed library's."""
    file = namespace.get("__file__")
    if not isinstance(file, str) or not file.startswith(PYTHON_FOLDERS_AS_SPELLED) or not file.endswith(".py"):
        return  # native, a namespace, or the user's own program
    if name in _COUNTED or f"{name}.".startswith(_EXEMPT):
        return
    if not {"getattr", "setattr", "vars"} & namespace.keys():
        namespace["getattr"], namespace["setattr"], namespace["vars"] = _getattr, _setattr, _vars
