"""Library functions that write to the function, class or module that they are given: they take remote code's own only.

Decorators set attributes, documentation and hooks; parametrizations change the class of a module.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from types import FunctionType
from typing import TYPE_CHECKING, Any, Final

from ...grammar import is_dunder
from ..ownership import owns_class, wraps_own
from ..parameter_writes import asking
from ..refusal import refuse
from ..writes import write

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ..context import PackageContext

#: Decorators, or makers of decorators, that set attributes of what they decorate.
_DECORATORS: Final = (
    "dataclasses.dataclass", "typing.final", "typing.no_type_check", "typing.runtime_checkable",
    "typing_extensions.final", "typing_extensions.runtime_checkable", "typing_extensions.deprecated",
    "typing_extensions.override", "functools.total_ordering", "torch.jit.ignore", "torch.jit.unused",
    "torch.jit.export", "torch._jit_internal._copy_to_script_wrapper",
    "typing.dataclass_transform", "typing_extensions.dataclass_transform", "torch.utils.hooks.unserializable_hook",
    "torch.onnx.symbolic_helper.parse_args", "transformers.utils.generic.filter_out_non_signature_kwargs",
    "torch.utils._pytree.register_pytree_node", "torch.utils._pytree._register_pytree_node",
    "torch.utils._pytree.register_dataclass", "transformers.utils.generic._register_model_output_pytree_node",
    "torch.utils._pytree.register_constant",
    "huggingface_hub.dataclasses.strict", "transformers.utils.auto_docstring.auto_docstring",
    "transformers.utils.doc.add_start_docstrings", "transformers.utils.doc.add_start_docstrings_to_model_forward",
    "transformers.utils.doc.add_end_docstrings", "transformers.utils.doc.add_code_sample_docstrings",
    "transformers.utils.doc.replace_return_docstrings", "transformers.utils.doc.copy_func",
    "transformers.models.auto.configuration_auto.replace_list_option_in_docstrings",
    "abc.abstractmethod", "abc.abstractclassmethod", "abc.abstractstaticmethod", "abc.update_abstractmethods",
    "torch._dynamo.disable", "torch._dynamo.allow_in_graph", "torch._dynamo.forbid_in_graph",
    "torch._dynamo.disallow_in_graph", "torch._dynamo.nonstrict_trace", "torch._dynamo.assume_constant_result",
    "torch._dynamo.substitute_in_graph", "torch._dynamo.dont_skip_tracing", "torch._dynamo.mark_static",
    "torch.compiler.disable", "torch.compiler.allow_in_graph", "torch.compiler.assume_constant_result",
    "torch.compiler.nested_compile_region", "torch.compiler.substitute_in_graph",
    "transformers.utils.import_utils.requires", "transformers.utils.requires",
    "transformers.integrations.moe.use_experts_implementation", "transformers.integrations.use_experts_implementation",
    "transformers.integrations.hub_kernels.use_kernel_forward_from_hub",
    "transformers.integrations.use_kernel_forward_from_hub",
    "transformers.integrations.hub_kernels.use_kernel_func_from_hub",
    "transformers.integrations.use_kernel_func_from_hub",
    "transformers.integrations.hub_kernels.use_kernelized_func", "transformers.integrations.use_kernelized_func",
    "accelerate.hooks.add_hook_to_module", "accelerate.hooks.remove_hook_from_module",
    "accelerate.hooks.remove_hook_from_submodules",
)  # fmt: skip
#: Imports a package by name for a function of it.
_FALLBACK: Final = "use_kernel_func_from_hub_with_fallback"
_KERNEL_PACKAGES: Final = ("causal_conv1d", "mamba_ssm", "fla", "flash_attn")
#: They take texts and classes to write about, and give back the decorator.
_MAKERS: Final = (
    "transformers.utils.doc.add_", "transformers.utils.doc.replace_",
    "transformers.models.auto.configuration_auto.replace_", "torch.onnx.symbolic_helper.parse_args",
)  # fmt: skip
#: What a decorator that is called with its settings may be given first.
_SETTINGS: Final = (int, float, str, list, tuple, dict, set, frozenset, type(None))


def _own_only(name: str) -> Callable[..., object]:
    module, _, attribute = name.rpartition(".")
    real = getattr(importlib.import_module(module), attribute)
    first = "callable" if isinstance(real, type) else next(iter(inspect.signature(real).parameters))

    def decorate(*arguments: Any, **keywords: Any) -> object:
        target = None if name.startswith(_MAKERS) else arguments[0] if arguments else keywords.get(first)
        _writable(target)
        _check_serialized(keywords)
        result = real(*arguments, **keywords)
        if isinstance(target, type | FunctionType) or not callable(result):
            return result
        return lambda decorated: result(_writable(decorated))

    return decorate


def _check_serialized(keywords: Mapping[str, object]) -> None:
    """A container of remote code may not be read back in the place of one that is known already."""
    pytree: Any = sys.modules.get("torch.utils._pytree")
    name = keywords.get("serialized_type_name")
    if pytree is not None and name is not None:
        known = pytree.SERIALIZED_TYPE_TO_PYTHON_TYPE.get(name) if type(name) is str else name
        if known is not None:
            refuse(f"serialized_type_name {name!r:.60}, which is taken")


def _writable(target: Any) -> Any:
    return target if isinstance(target, _SETTINGS) or wraps_own(target) else write(target)


#: The functions that they make mark the context of autograd, their first argument.
_CONTEXT_MARKERS: Final = (
    "torch.amp.autocast_mode.custom_fwd", "torch.amp.autocast_mode.custom_bwd",
    "torch.cuda.amp.autocast_mode.custom_fwd", "torch.cuda.amp.autocast_mode.custom_bwd",
)  # fmt: skip


def _marking_contexts(name: str) -> Callable[..., object]:
    module, _, attribute = name.rpartition(".")
    real = getattr(importlib.import_module(module), attribute)

    def decorate(function: Any = None, **settings: Any) -> object:
        if function is None:
            return lambda decorated: decorate(decorated, **settings)
        return asking(real(function, **settings), ((0, "ctx"),))

    return functools.wraps(real)(decorate)


#: Take an instance of a module, to which they add attributes, and whose class some of them change.
_MODULE_CHANGERS: Final = (
    "torch.nn.utils.weight_norm.weight_norm", "torch.nn.utils.weight_norm.remove_weight_norm",
    "torch.nn.utils.spectral_norm.spectral_norm", "torch.nn.utils.spectral_norm.remove_spectral_norm",
    "torch.nn.utils.parametrizations.weight_norm", "torch.nn.utils.parametrizations.spectral_norm",
    "torch.nn.utils.parametrizations.orthogonal", "torch.nn.utils.parametrize.register_parametrization",
    "torch.nn.utils.parametrize.remove_parametrizations", "torch.nn.utils.prune.l1_unstructured",
    "torch.nn.utils.prune.random_unstructured", "torch.nn.utils.prune.ln_structured", "torch.nn.utils.prune.remove",
    "torch.nn.utils.prune.identity", "torch.distributed.fsdp.register_fsdp_forward_method",
    "torch.distributed.tensor.distribute_module",
)  # fmt: skip


def _on_module(name: str, context: PackageContext) -> Callable[..., object]:
    module, _, attribute = name.rpartition(".")
    real = getattr(importlib.import_module(module), attribute)

    @functools.wraps(real)
    def change(target: Any, *arguments: Any, **keywords: Any) -> object:
        cls = type(target)
        # torch gives each parametrized module a class of its own to write to; where it sees `parametrizations`, it
        # believes that this has been done.
        done = cls.__name__.startswith("Parametrized") or owns_class(cls) or not hasattr(target, "parametrizations")
        if not done or not issubclass(cls, importlib.import_module("torch.nn").Module):
            raise context.violation(f"{name} of something that is not a module of its own", "monkey-patch", name)
        return real(target, *arguments, **keywords)

    return change


def _kernel_with_fallback(context: PackageContext) -> Callable[..., object]:
    """`use_kernel_func_from_hub_with_fallback`, of the packages that transformers itself uses it for."""

    def mark(func_name: str, package: str, internal_path: str | None = None) -> Callable[[Any], object]:
        names = [func_name, package, internal_path or ""]
        plain = all(type(name) is str and not any(map(is_dunder, name.split("."))) for name in names)
        if not plain or package not in _KERNEL_PACKAGES:
            raise context.violation(f"kernels of the package {package!r:.60}", "native-code", _FALLBACK)
        real = getattr(importlib.import_module("transformers.integrations.hub_kernels"), _FALLBACK)
        decorate = real(func_name, package, internal_path)
        return lambda function: decorate(_writable(function))

    return mark


def replacements(context: PackageContext) -> dict[str, Callable[[], object]]:
    """Makers of the replacements by dotted name."""
    makers: dict[str, Callable[[], object]] = {}
    for place in ("transformers.integrations", "transformers.integrations.hub_kernels"):
        makers[f"{place}.{_FALLBACK}"] = lambda: _kernel_with_fallback(context)
    for name in _DECORATORS:
        makers[name] = lambda name=name: _own_only(name)  # type: ignore[misc]  # bound now
    for name in _CONTEXT_MARKERS:
        makers[name] = lambda name=name: _marking_contexts(name)  # type: ignore[misc]  # bound now
    for name in _MODULE_CHANGERS:
        makers[name] = lambda name=name: _on_module(name, context)  # type: ignore[misc]  # bound now
    return makers
