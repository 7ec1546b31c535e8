"""Registries of the whole process, to which remote code may add what it owns.

`AutoConfig.register` and the like keep working for what the remote code owns; they cannot replace
an entry that it does not own.
"""

from __future__ import annotations

import abc
import contextlib
import functools
import importlib
import inspect
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, final

from ..ownership import Sealed, definer, owns, owns_class, owns_instance
from ..shown import read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..context import PackageContext

_AUTO: Final = "transformers.models.auto."
#: Whether what is added stays with the package. transformers itself asks for the converter of a tokenizer.
_ADDED_TO: Final = {
    "transformers.activations.ACT2CLS": True,
    "transformers.activations.ACT2FN": True,
    "transformers.modeling_rope_utils.ROPE_INIT_FUNCTIONS": True,
    "transformers.convert_slow_tokenizer.SLOW_TO_FAST_CONVERTERS": False,
}
#: Of these a look-up gives an instance of the class that was added.
_INSTANTIATING: Final = ("transformers.activations.ACT2FN",)
#: transformers' own instances of `GeneralInterface`; a package has one of its own, and what it assigns stays there.
_INTERFACES: Final = (
    "transformers.modeling_utils.ALL_ATTENTION_FUNCTIONS", "transformers.masking_utils.ALL_MASK_ATTENTION_FUNCTIONS",
    "transformers.integrations.moe.ALL_EXPERTS_FUNCTIONS",
)  # fmt: skip


def guarded_register(
    receiver: object, function: Callable[..., object], context: PackageContext
) -> Callable[..., object]:
    """`receiver.register` of a known registry, unable to replace an entry that is not the remote code's."""
    real = getattr(function, "__func__", function)

    def register(*given: Any, **keywords: Any) -> object:
        arguments, keywords = _in_order(function, given, keywords)
        if real is abc.ABCMeta.register:
            foreign = not (isinstance(receiver, type) and owns_class(receiver))
        elif getattr(real, "__qualname__", "") == "GeneralInterface.register":
            foreign = not _is_own_entry(_table(receiver), *arguments[:1])
        elif f"{getattr(real, '__module__', '')}.".startswith(_AUTO):
            if _is_foreign_key(receiver, *arguments[:1]):
                # As a library's own entry deserves: without exist_ok, transformers says that it is taken.
                arguments, keywords = arguments[:2], {}
            with _entries_of_others_kept():
                return function(*arguments, **keywords)
        else:
            foreign = not owns_instance(receiver)
        if foreign:
            what = f"registering {arguments[0]!r:.80} with {getattr(receiver, '__qualname__', type(receiver).__name__)}"
            raise context.violation(what, "monkey-patch", "register")
        return function(*arguments, **keywords)

    return register


def _in_order(
    function: Callable[..., object], arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a call as they stand in the signature, whichever were given by name; texts are exact."""
    bound = inspect.signature(function).bind(*arguments, **keywords)
    exact = tuple(str.__str__(item) if isinstance(item, str) else item for item in bound.args)
    return exact, bound.kwargs


@contextlib.contextmanager
def _entries_of_others_kept() -> Iterator[None]:
    """Whatever a `register` of the Auto classes does, what a library or the user put into their tables stays there.

    `AutoTokenizer.register` keeps classes by their bare names, too (transformers 5): no native name is added.
    """
    named, mappings = _auto_tables()
    before, native = [dict(table) for table in (*named, *mappings)], set(dir(sys.modules["transformers"]))
    try:
        yield
    finally:
        for table, entries in zip((*named, *mappings), before, strict=True):
            for key in entries:
                if not _is_own(entries[key]):
                    table[key] = entries[key]
        for table, entries in zip(named, before[: len(named)], strict=True):
            for name in native & table.keys() - entries.keys():
                del table[name]


def _auto_tables() -> tuple[list[dict[Any, Any]], list[dict[Any, Any]]]:
    """Classes by bare name, and what was added to the mappings of the Auto classes."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith(_AUTO)]
    named = [
        table
        for module in modules
        for name in ("REGISTERED_TOKENIZER_CLASSES", "REGISTERED_FAST_ALIASES")
        if isinstance(table := vars(module).get(name), dict)
    ]
    mappings = [vars(value).get("_extra_content") for module in modules for value in list(vars(module).values())
                if isinstance(value, Mapping) and hasattr(value, "__dict__")]  # fmt: skip
    return named, [table for table in mappings if isinstance(table, dict)]


def _is_own(value: object) -> bool:
    """Whether `value` is a class or function of remote code; of a pair of tokenizers, whether each one is."""
    if isinstance(value, tuple):
        return all(item is None or _is_own(item) for item in value)
    return owns(value)


def _table(receiver: object) -> object:
    """The mapping that all instances of a `GeneralInterface` share."""
    cls = receiver if isinstance(receiver, type) else type(receiver)
    home = definer(cls, "_global_mapping")
    return None if home is None else type.__getattribute__(home, "__dict__")["_global_mapping"]


def _is_own_entry(table: object, key: object = None) -> bool:
    return type(table) is dict and type(key) is str and (key not in table or _is_own(table[key]))


def _is_foreign_key(receiver: Any, key: object = None) -> bool:
    if isinstance(key, type):
        return not owns_class(key)
    if type(key) is not str:
        return True  # it could say that it is equal to another's
    cls = receiver if isinstance(receiver, type) else type(receiver)
    if any(base.__name__ == "AutoConfig" for base in type.__getattribute__(cls, "__mro__")):
        mapping = importlib.import_module("transformers.models.auto.configuration_auto").CONFIG_MAPPING
        return key in mapping._mapping
    return True


@final
class _Pipelines(Sealed):
    """`PIPELINE_REGISTRY`, of which remote code may announce new tasks for pipelines of its own."""

    def __init__(self, context: PackageContext) -> None:
        def register_pipeline(task: str, pipeline_class: type, *arguments: Any, **keywords: Any) -> None:
            real = importlib.import_module("transformers.pipelines").PIPELINE_REGISTRY
            taken = type(task) is not str or task in real.task_aliases
            known = pipeline_class if taken else real.supported_tasks.get(task, {}).get("impl", pipeline_class)
            if taken or not all(isinstance(item, type) and owns_class(item) for item in (pipeline_class, known)):
                raise context.violation(f"registering the pipeline {task!r:.80}", "monkey-patch", "register_pipeline")
            real.register_pipeline(task, pipeline_class, *arguments, **keywords)

        self.register_pipeline = register_pipeline

    def get_supported_tasks(self) -> list[str]:
        """As of the real registry."""
        return list(importlib.import_module("transformers.pipelines").PIPELINE_REGISTRY.get_supported_tasks())


@final
class _Additions(Mapping[object, object], Sealed):
    """A library's mapping of classes or functions by name, to which remote code may add its own under new names.

    `local`: what is added is there for this package alone, because only its own code asks.
    """

    def __init__(self, name: str, context: PackageContext, *, local: bool) -> None:
        module, _, attribute = name.rpartition(".")

        def real() -> Any:
            return getattr(importlib.import_module(module), attribute)

        added: dict[object, object] = {}

        def get(key: object) -> object:
            if key not in added:
                shown: Any = read_only(real())
                return shown[key]
            value = added[key]
            return value() if isinstance(value, type) and name in _INSTANTIATING else value

        def add(key: object, value: object) -> None:
            known = added.get(key, dict.get(real(), key, value)) if type(key) is str else None
            if not all(map(_is_own, (known, value))):
                raise context.violation(f"the entry {key!r:.80} of {name}", "monkey-patch", name)
            (added if local else real())[key] = value

        def keys() -> list[object]:
            return [*{**dict.fromkeys(real()), **added}]

        self._keys, self._get, self._add = keys, get, add

    def __getitem__(self, key: object) -> object:
        return self._get(key)

    def __iter__(self) -> Iterator[object]:
        return iter(self._keys())

    def __len__(self) -> int:
        return len(self._keys())

    def __setitem__(self, key: object, value: object) -> None:
        self._add(key, value)


def _interface(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    real = getattr(importlib.import_module(module), attribute)
    return dict(real) if type(real) is dict else read_only(real)  # a dict before transformers 4.50


def replacements(context: PackageContext) -> dict[str, Callable[[], object]]:
    """Makers of the replacements by dotted name."""
    makers: dict[str, Callable[[], object]] = {"transformers.pipelines.PIPELINE_REGISTRY": lambda: _Pipelines(context)}
    for name, local in _ADDED_TO.items():
        makers[name] = functools.cache(functools.partial(_Additions, name, context, local=local))
    for name in _INTERFACES:
        makers[name] = functools.cache(functools.partial(_interface, name))
    return makers
