"""Walks everything that guarded code can hold, as guarded code could walk it.

It starts from the facades of the granted modules, the guard's builtins and typical instances, and
follows attributes (only names that the grammar permits, through the guard's own resolver where the
transform would send them there), items of containers, and `type(x)`. It calls nothing. What it must
never meet: a real module, a frame, code or traceback object, a dict with real builtins, the builtins
that open or run, a capability's sink without its grant, a metaclass, or one of our own objects; nor the
very container that a class of a library holds for all its instances, in which an item could be changed.
"""

from __future__ import annotations

import builtins
import collections
import contextlib
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence, MutableSet
from dataclasses import dataclass, field
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    CodeType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    ModuleType,
    TracebackType,
    WrapperDescriptorType,
)
from typing import Any

import numpy
import torch

from safe_remote_code.capability import shipped_capabilities
from safe_remote_code.errors import GuardViolationError
from safe_remote_code.grammar import CHECKED, refused_attribute
from safe_remote_code.guard.attributes import Attributes
from safe_remote_code.guard.context import PackageContext
from safe_remote_code.guard.facade import Facade, Facades, Tombstone, _home
from safe_remote_code.guard.kinds import type_of
from safe_remote_code.guard.ownership import definer
from safe_remote_code.guard.runtime import Runtime
from safe_remote_code.policy import Granted, Policy

_OURS = (PackageContext, Attributes, Runtime, Policy, Granted, Facades)
_REAL = {id(getattr(builtins, name)): name for name in ("open", "exec", "eval", "compile", "__import__", "getattr", "type")}
_ATOMS = (int, float, complex, str, bytes, bool, type(None), Tombstone)
_MAX_ITEMS = 60
_CONTAINERS = (MutableMapping, MutableSequence, MutableSet, numpy.ndarray, torch.Tensor)
_BOUND = (MethodType, BuiltinFunctionType)
_CALLABLES = (FunctionType, *_BOUND)
#: Slots of built-in classes. All their own attributes are refused or slots again, without an end.
_DESCRIPTORS = (
    MethodWrapperType, WrapperDescriptorType, MethodDescriptorType, ClassMethodDescriptorType, GetSetDescriptorType,
    MemberDescriptorType,
)  # fmt: skip
#: Sinks by their dotted place that may be met, and why.
_HARMLESS = {
    "numpy._core.multiarray.flagsobj": "the flags of one array; WRITEABLE is checked by numpy",
    "numpy.flagsobj": "the same, under its older name",
    "builtins.memoryview": "array.data: a view with bounds; the name itself is not given",
    "enum.property": "a descriptor",
    "types.DynamicClassAttribute": "the same, under its older name",
    "transformers.utils.logging._tqdm_cls": "makes progress bars",
    "transformers.utils.import_utils._LazyModule.__getattr__": "a placeholder that raises when it is used",
    "transformers.generation.configuration_utils.CompileConfig": "what it says is checked where generate compiles",
    "typing.ForwardRef": "holds text; what evaluates it is mediated or refused (_evaluate)",
    "torch._ops.OpOverloadPacket": "the class of torch.quantized_gru; made of operators that exist",
    "torch._ops.OpOverload": "the class of torch.quantized_gru.data; the same",
}
#: Containers of classes that may be met, by name, and why.
_SHOWN = {
    "_MaskedConstant__singleton": "numpy.ma.masked itself, whose attributes and data are not writeable",
    "__entries": "the names of one enumeration of native code",
    "__backends": "what the stand-in for a library that is missing says that it needs",
}
_NUMPY = ("numpy", "numpy.char", "numpy.strings", "numpy.ma", "numpy.lib.stride_tricks")


@dataclass
class Reach:
    """What a crawl found. `leaks` are paths, `objects` counts what was looked at."""

    leaks: dict[str, str] = field(default_factory=dict)
    objects: int = 0
    finished: bool = False


class Crawler:
    """One crawl under the rules of one package."""

    def __init__(self, runtime: Runtime, context: PackageContext, *, loaded_only: bool = True) -> None:
        self._loaded_only = loaded_only
        self._load = runtime._attributes.load
        self._sensitive = shipped_capabilities().attributes
        self._granted = context.granted
        self._seen: dict[int, object] = {}
        self._kinds: set[tuple[type, str]] = set()
        self._queue: collections.deque[tuple[str, object]] = collections.deque()
        self._shared: dict[str, str] = {}

    def crawl(self, roots: Mapping[str, object], seconds: float, objects: int) -> Reach:
        """Walk breadth first from `roots` until all is seen or the budget is spent."""
        reach, deadline = Reach(), time.process_time() + seconds
        for name, root in roots.items():
            self._push(name, root)
        while self._queue:
            if reach.objects >= objects or time.process_time() > deadline:
                break
            path, value = self._queue.popleft()
            reach.objects += 1
            why = self._leak(value)
            if why is not None:
                reach.leaks.setdefault(f"{why}: {_short(value)}", path)
                continue
            self._follow(path, value)
        reach.finished = not self._queue
        reach.leaks.update(self._shared)
        return reach

    def _push(self, path: str, value: object) -> None:
        if isinstance(value, _ATOMS) or id(value) in self._seen:
            return
        self._seen[id(value)] = value  # alive, so that no other object gets its id
        self._queue.append((path, value))

    # -- what must not be met -------------------------------------------------------------------

    def _leak(self, value: object) -> str | None:
        kind = type(value)
        if issubclass(kind, ModuleType):
            return None if kind is Facade else "real module"
        if issubclass(kind, FrameType | CodeType | TracebackType):
            return "interpreter internals"
        if issubclass(kind, dict) and (value is vars(builtins) or dict.__contains__(value, "__builtins__")):  # type: ignore[arg-type]
            return "globals"
        if id(value) in _REAL:
            return f"the real {_REAL[id(value)]}"
        if kind in _OURS or (isinstance(value, MethodType) and type(value.__self__) in _OURS):
            return "an object of ours"
        return self._sink(value)

    def _sink(self, value: object) -> str | None:
        home = _home(value)
        sink = shipped_capabilities().sink(home) if home else None
        if sink is None or sink.capability in self._granted.capabilities:
            return None
        if any(home == place or home.startswith(f"{place}.") for place in _HARMLESS):
            return None
        # numpy.sum is granted by its public name, whatever private place it is defined at.
        leaf = home.rpartition(".")[2]
        if home.startswith("numpy.") and any(self._granted.names.match(f"{place}.{leaf}") == "exact" for place in _NUMPY):
            return None
        return f"sink ({sink.capability}) without a grant"

    # -- what guarded code can do ---------------------------------------------------------------

    def _follow(self, path: str, value: object) -> None:
        if isinstance(value, Facade):
            real = sys.modules[value.__name__]
            # Not dir() of a lazy module, which would import every model there is.
            for name in sorted(set(vars(real)) if self._loaded_only else set(dir(real))):
                self._attribute(path, value, name)
            return
        if not isinstance(value, type):
            with contextlib.suppress(GuardViolationError):
                self._push(f"type({path})", type_of(value))
        for name in self._names(value):
            self._attribute(path, value, name)
        for index, item in self._items(value):
            self._push(f"{path}[{index}]", item)

    def _names(self, value: object) -> Iterator[str]:
        if isinstance(value, _CALLABLES):
            yield from getattr(value, "__dict__", ())
            return
        try:
            yield from dir(value)
        except Exception:
            return

    def _attribute(self, path: str, value: object, name: object) -> None:
        if type(name) is not str or refused_attribute(name) or name in ("__doc__", "__name__", "__qualname__"):
            return
        try:
            if name in CHECKED or name in self._sensitive:
                found = self._load(value, name)
            else:
                found = getattr(value, name)
        except BaseException:
            return  # a property that fails, or a refusal: nothing was handed over
        if isinstance(found, _DESCRIPTORS) or (isinstance(found, _BOUND) and self._method_seen(found)):
            return
        if _is_of_class(value, name, found) and name not in _SHOWN:
            self._shared.setdefault(f"the {type(found).__name__} {name} of a class", f"{path}.{name}")
        self._push(f"{path}.{name}", found)

    def _method_seen(self, method: Any) -> bool:
        """Bound methods are made anew at each look; whose class and name they have says enough."""
        key = (type(method.__self__), getattr(method, "__qualname__", ""))
        known = key in self._kinds
        self._kinds.add(key)
        return known

    def _items(self, value: object) -> Iterator[tuple[object, object]]:
        try:
            if isinstance(value, Mapping):
                for key, item in list(value.items())[:_MAX_ITEMS]:
                    yield f"{key!r:.40}", item
                    yield f"key {key!r:.40}", key
            elif isinstance(value, list | tuple | set | frozenset | collections.deque):
                yield from enumerate(list(value)[:_MAX_ITEMS])
        except Exception:
            return


def _is_of_class(receiver: object, name: str, found: object) -> bool:
    """Whether `found` is the very container that the class of `receiver`, or `receiver` itself, has under `name`."""
    if not isinstance(found, _CONTAINERS) or isinstance(receiver, Facade):
        return False
    kind = receiver if isinstance(receiver, type) else type(receiver)
    home = definer(kind, name)
    return home is not None and type.__getattribute__(home, "__dict__")[name] is found


def _short(value: object) -> str:
    try:
        return f"{getattr(value, '__name__', '') or type(value).__qualname__}"[:120]
    except Exception:
        return type(value).__name__


def roots(runtime: Runtime, policy: Policy, *, everything: bool) -> dict[str, Any]:
    """What guarded code can name without help: builtins, and the facade of every granted module.

    `everything`: also of modules that are not loaded yet.
    """
    found: dict[str, Any] = {
        name: value
        for name, value in runtime.builtins.items()
        if name.isidentifier() and not name.startswith("__")
    }
    modules = {name.rpartition(".")[0] for grant in policy.grants for name in grant.names}
    for name in sorted(module for module in modules if "*" not in module):
        if everything or name in sys.modules:
            with contextlib.suppress(BaseException):  # not installed, or of another version
                found[f"import {name}"] = runtime._facades.import_module(name)
    return found


def instances() -> dict[str, Any]:
    """Typical objects that guarded code holds."""
    import logging

    import numpy
    import torch
    import transformers

    config = transformers.BertConfig(
        hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, vocab_size=8
    )
    model = transformers.BertModel(config)
    tensor = torch.zeros(2, 2, requires_grad=True)
    error: BaseException = ValueError("x")
    try:
        {}["missing"]
    except KeyError as raised:
        error = raised
    interpolators = []
    with contextlib.suppress(ImportError):  # else it is looked at only if another test has loaded it
        from scipy.interpolate import RegularGridInterpolator

        interpolators.append(RegularGridInterpolator(([0.0, 1.0],), [0.0, 1.0]))
    return {
        "interpolators": interpolators, "tensor": tensor, "grad_fn": (tensor * 2).grad_fn, "parameter": torch.nn.Parameter(torch.zeros(1)),
        "linear": torch.nn.Linear(2, 2), "model": model, "config": config, "generation": transformers.GenerationConfig(),
        "output": model(torch.tensor([[1, 2]])), "array": numpy.zeros(3), "generator": (item for item in ()),
        "error": error, "logger": logging.getLogger("reach"), "cache": transformers.DynamicCache(),
        "encoding": transformers.BatchEncoding({"input_ids": [[1]]}), "function": lambda: None,
        "optimizer": torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1), "scripted": torch.jit.script(torch.nn.Identity()),
        "device": torch.device("cpu"), "random": torch.Generator(),
    }  # fmt: skip
