"""Libraries hold copies of their own methods: what formats or compiles for its caller is asked in each, and none is left out."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("transformers")

from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard import formats
from safe_remote_code.guard.armour import compile_settings, prepare, withheld
from safe_remote_code.policy import load_policy

_LIBRARIES = ("transformers", "timm", "torchvision", "tqdm", "kernels", "accelerate", "tokenizers", "safetensors", "einops")
_ASKED = {*withheld._NEVER, *formats.OF_ARGUMENT, *formats.OF_FUNCTION, *formats.OF_RECEIVER}
#: Format a text that no caller chooses, as a reader sees but the scan does not; or compile what only a user says.
_HARMLESS = {
    "transformers.utils.import_utils.requires_backends": "messages of a table; the class of other backends is not granted",
    "transformers.utils.doc._prepare_output_docstrings": "one of two texts of the module",
    "transformers.utils.doc.add_code_sample_docstrings.docstring_decorator": "a sample of the module's tables",
    "transformers.utils.auto_docstring.auto_class_docstring": "an attribute of a class of the module, by one of its names",
}
_GRANTED = load_policy("default").granted("hub:any/repository")


def _modules() -> Iterator[tuple[str, Path]]:
    """Modules of the installed libraries."""
    for library in _LIBRARIES:
        spec = find_spec(library)
        for top in (spec.submodule_search_locations or ()) if spec else ():
            for path in Path(top).rglob("*.py"):
                parts = path.relative_to(Path(top).parent).with_suffix("").parts
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                yield name, path


def _calls(tree: ast.AST, place: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.Call, ast.AST | None]]:
    """Each call in a function, with the place and the innermost function that it stands in."""
    for node in ast.iter_child_nodes(tree):
        inner = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        below = (*place, node.name) if inner or isinstance(node, ast.ClassDef) else place
        for found, call, function in _calls(node, below):
            yield found, call, function or (node if inner else None)
        if isinstance(node, ast.Call):
            yield ".".join(place), node, None


def _is_fixed(value: ast.expr | None, function: ast.AST, module: ast.Module) -> bool:
    """Whether this text stands in the library as it is."""
    if isinstance(value, ast.Constant):
        return True
    if isinstance(value, ast.BinOp):
        return _is_fixed(value.left, function, module) and _is_fixed(value.right, function, module)
    if isinstance(value, ast.IfExp):
        return _is_fixed(value.body, function, module) and _is_fixed(value.orelse, function, module)
    if isinstance(value, ast.Subscript):
        return isinstance(value.value, ast.Name) and value.value.id.isupper()
    if not isinstance(value, ast.Name):
        return False
    if value.id.isupper():
        return True
    bound = [*_bound(function, value.id)] or [*_bound(module, value.id)]
    return bool(bound) and all(_is_fixed(each, function, module) for each in bound)


def _bound(tree: ast.AST, name: str) -> Iterator[ast.expr | None]:
    """What `name` is bound to in `tree`; None for what is not seen."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                names = {item.id for item in ast.walk(target) if isinstance(item, ast.Name)}
                if name in names:
                    yield node.value if isinstance(target, ast.Name) else None
        elif (isinstance(node, ast.arg) and node.arg == name) or (
            isinstance(node, ast.For | ast.comprehension) and name in ast.dump(node.target)
        ):
            yield None


def _holds_granted(name: str, module: ast.Module) -> bool:
    defined = [node.name for node in module.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    return any(_GRANTED.allows(f"{name}.{each}") for each in defined)


def _found(spelled: str, is_open: Callable[[ast.Call, ast.Attribute, ast.AST, ast.Module], bool]) -> set[str]:
    """Places of functions, in modules where something is granted, with a call of a method for which `is_open` holds."""
    found = set()
    for name, path in _modules():
        text = path.read_text(encoding="utf-8")
        module = ast.parse(text) if spelled in text else ast.Module([], [])
        for place, call, function in _calls(module) if _holds_granted(name, module) else ():
            if function and isinstance(call.func, ast.Attribute) and is_open(call, call.func, function, module):
                found.add(f"{name}.{place}")
    return found


def test_what_formats_a_text_of_its_caller_is_asked() -> None:
    found = _found(
        ".format",
        lambda _, called, *where: called.attr in ("format", "format_map") and not _is_fixed(called.value, *where),
    )
    assert found
    assert found - _ASKED - _HARMLESS.keys() == set()


def test_what_compiles_with_settings_of_its_caller_is_asked() -> None:
    """It is by what stands before the compilers of `torch.compile`, if the library is the one that is asked."""
    found = _found(
        "torch.compile(",
        lambda call, called, *_: (
            ast.unparse(called) == "torch.compile" and not all(isinstance(each.value, ast.Constant) for each in call.keywords)
        ),
    )
    assert found
    assert not [place for place in found if not place.startswith(compile_settings._LIBRARY)]


def test_no_class_that_only_a_generator_of_models_reads_is_granted() -> None:
    sources = [(name, path) for name, path in _modules() if name.rpartition(".")[2].startswith("modular_")]
    assert sources
    for name, path in sources:
        classes = [node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.ClassDef)]
        assert not [each for each in classes if _GRANTED.allows(f"{name}.{each}")]


def test_a_warning_is_no_format_string_of_its_caller() -> None:
    from transformers.models.whisper.generation_whisper import WhisperGenerationMixin

    prepare()
    warn = WhisperGenerationMixin._maybe_warn_unused_inputs
    warn(True, 1.0, None, None, None, 3000)
    with pytest.raises(GuardViolationError):
        warn(True, 1.0, None, None, None, "{0.__class__}")
