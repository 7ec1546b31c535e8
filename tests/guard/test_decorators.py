"""Granted functions that write to a function or class of their caller are replaced: `decorators._DECORATORS` is complete."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from safe_remote_code.capability import shipped_capabilities
from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard.context import PackageContext
from safe_remote_code.guard.mediated import decorators
from safe_remote_code.policy import load_policy

from .written import written

_LOADED = (
    "torch.onnx.symbolic_helper", "torch.utils.hooks", "torch.utils.checkpoint", "torch.nn.attention.flex_attention",
    "transformers.modeling_utils", "transformers.processing_utils", "transformers.image_processing_utils", "einops",
)  # fmt: skip
#: What a parameter is called that takes a function or a class.
_DECORATED = frozenset(["f", "fn", "func", "function", "method", "hook", "cls", "cls_or_fn", "obj", "if_true", "if_false"])


def _granted() -> Iterator[tuple[str, FunctionType]]:
    granted, sinks, seen = load_policy("default").granted("decorators"), shipped_capabilities(), set()
    for name, module in list(sys.modules.items()):
        if not isinstance(module, ModuleType) or not granted.names.covers_below(name):
            continue
        for attribute, value in list(vars(module).items()):
            if type(value) is not FunctionType or id(value) in seen or not granted.names.match(f"{name}.{attribute}"):
                continue
            seen.add(id(value))
            home = f"{value.__module__}.{value.__qualname__}"
            if granted.names.match(home) and sinks.sink(home) is None:
                yield home, value


def _writes_to_its_argument(function: FunctionType) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return False
    stores = {
        node.value.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and isinstance(node.value, ast.Name)
    }
    parameters = {argument.arg for node in ast.walk(tree) if isinstance(node, ast.arguments) for argument in node.args}
    return bool(stores & parameters & _DECORATED)


def test_what_writes_to_a_function_of_its_caller_is_replaced() -> None:
    for name in _LOADED:
        importlib.import_module(name)
    context = PackageContext(source="x", digest="", granted=load_policy("default").granted("x"), load=_no_module)
    replaced = set()
    for name in decorators.replacements(context):
        module, _, attribute = name.rpartition(".")
        if module in sys.modules:
            replaced.add(id(vars(sys.modules[module]).get(attribute)))
    assert not {home for home, value in _granted() if id(value) not in replaced and _writes_to_its_argument(value)}


def _no_module(path: str) -> ModuleType:
    raise KeyError(path)


#: As models for transformers 5 are written: one decorator above others, and words that the library fills in.
_STACK = '''
from transformers import PretrainedConfig, PreTrainedModel
from transformers.utils import auto_docstring
from transformers.utils.generic import can_return_tuple, merge_with_config_defaults
from transformers.utils.output_capturing import capture_outputs


class Model(PreTrainedModel):
    config_class = PretrainedConfig

    @auto_docstring
    @can_return_tuple
    @merge_with_config_defaults
    @capture_outputs
    def forward(self, input_ids=None, pixel_values=None, **kwargs):
        r"""
        pixel_values (`torch.Tensor`):
            The picture, as {image_processor_class} and {processor_class} make it.
        """
        return input_ids


def foreign():
    return auto_docstring(can_return_tuple)
'''


def test_decorators_of_the_library_stand_above_each_other(tmp_path: Path) -> None:
    pytest.importorskip("transformers.utils.output_capturing")
    module = written(tmp_path, _STACK)
    assert "pixel_values" in module.Model.forward.__doc__
    with pytest.raises(GuardViolationError, match="may not change function can_return_tuple"):
        module.foreign()
