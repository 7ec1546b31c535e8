"""What tools and users do with a guarded class in the process that loaded it."""

from __future__ import annotations

import copy
import inspect
import linecache
import pickle
import shutil
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinned import pin_folder

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def loaded(fixtures: Path, models_lock: Path) -> Iterator[Any]:
    """A model of each fixture, made under the guard."""
    import torch

    from driver import built
    from safe_remote_code import installed

    def make(name: str, auto_class: str) -> Any:
        torch.manual_seed(0)
        return built(auto_class, fixtures / "models" / name, "cpu")

    with installed(lockfile=models_lock):
        yield {
            "decoder": make("decoder", "AutoModelForCausalLM"),
            "encoder": make("encoder", "AutoModelForMaskedLM"),
            "vision_language": make("vision_language", "AutoModelForCausalLM"),
        }


NAMES = ("decoder", "encoder", "vision_language")


@pytest.fixture(params=NAMES)
def model(request: pytest.FixtureRequest, loaded: Any) -> Any:
    return loaded[request.param]


def test_the_config_is_of_the_class_that_the_model_names(model: Any) -> None:
    """Natively not so for local folders: each Auto class makes its own copy of the module."""
    assert isinstance(model.config, type(model).config_class)


def test_all_modules_of_a_repository_are_of_one_package(loaded: Any) -> None:
    model = loaded["vision_language"]
    modules = {type(part).__module__.rpartition(".")[0] for part in model.modules()}
    remote = {name for name in modules if name.startswith("transformers_modules.")}
    assert remote == {type(model.config).__module__.rpartition(".")[0]}


def test_modules_have_the_names_and_files_that_transformers_looks_for(model: Any) -> None:
    module = sys.modules[type(model).__module__]
    assert module.__name__.startswith("transformers_modules.")
    assert module.__spec__.name == module.__name__
    assert Path(module.__file__).read_text() == inspect.getsource(module)


@pytest.mark.parametrize("name", NAMES)
def test_the_source_that_tools_see_is_that_of_the_repository(loaded: Any, fixtures: Path, name: str) -> None:
    kind = type(loaded[name])
    module = sys.modules[kind.__module__]
    original = (fixtures / "models" / name / Path(module.__file__).name).read_text()
    assert inspect.getsource(module) == original
    assert inspect.getsource(kind) in original
    assert inspect.getsource(kind.forward) in original
    lines, first = inspect.getsourcelines(kind)
    assert original.splitlines(keepends=True)[first - 1 :][: len(lines)] == lines


def test_the_source_in_the_store_may_change_and_tools_still_see_the_verified_one(loaded: Any) -> None:
    kind = type(loaded["decoder"])
    stored = Path(sys.modules[kind.__module__].__file__)
    before = inspect.getsource(kind)
    stored.write_text("EVIL = True\n" * 1000)
    linecache.checkcache()
    assert inspect.getsource(kind) == before


def test_a_traceback_shows_the_line_of_the_repository(loaded: Any) -> None:
    model = loaded["decoder"]
    with pytest.raises(ValueError, match="exactly one of input_ids or inputs_embeds") as raised:
        model.model()
    shown = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert shown.filename.endswith("modeling_larch.py")
    assert shown.line == 'raise ValueError("You must specify exactly one of input_ids or inputs_embeds")'


def test_forward_keeps_its_signature(model: Any) -> None:
    names = list(inspect.signature(model.forward).parameters)
    assert "input_ids" in names
    assert "labels" in names


def test_scripted_functions_of_the_repository_are_scripted(loaded: Any) -> None:
    import torch

    module = sys.modules[type(loaded["encoder"]).__module__]
    assert isinstance(module.bias_gelu, torch.jit.ScriptFunction)
    found = module.bias_gelu(torch.zeros(4), torch.linspace(-1, 1, 4))
    assert torch.allclose(found, torch.nn.functional.gelu(torch.linspace(-1, 1, 4), approximate="tanh"), atol=1e-4)


def test_a_user_may_script_a_function_of_the_repository(loaded: Any) -> None:
    import torch

    module = sys.modules[type(loaded["decoder"]).__module__]
    scripted = torch.jit.script(module.rotate_half)
    x = torch.randn(2, 4)
    assert torch.equal(scripted(x), module.rotate_half(x))


def test_the_decoder_compiles_without_a_graph_break(loaded: Any) -> None:
    import torch

    torch._dynamo.reset()
    model, ids = loaded["decoder"].eval(), torch.tensor([[1, 5, 9, 7]])
    with torch.no_grad():
        expected = model(ids).logits
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")(ids).logits
    assert torch.allclose(compiled, expected, atol=1e-6)


def test_copies_are_of_the_same_class_and_give_the_same(model: Any) -> None:
    import torch

    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(twin) is type(model)
        assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), model.parameters(), strict=True))


def test_precision_device_and_mode_change_as_ever(model: Any) -> None:
    import torch

    twin = copy.deepcopy(model)
    assert twin.num_parameters() == sum(p.numel() for p in model.parameters())
    assert {parameter.dtype for parameter in twin.half().parameters()} == {torch.float16}
    assert {parameter.dtype for parameter in twin.to(torch.bfloat16).parameters()} == {torch.bfloat16}
    assert {parameter.device.type for parameter in twin.to("meta").parameters()} == {"meta"}
    assert twin.train().training and not twin.eval().training


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_folder_holds_the_verified_code_whatever_lies_in_the_store(
    loaded: Any, fixtures: Path, models_lock: Path, tmp_path: Path, name: str
) -> None:
    """And it loads under the same lock, by content."""
    from driver import loaded as load
    from safe_remote_code import installed

    model = loaded[name]
    for stored in Path(sys.modules[type(model).__module__].__file__).parent.glob("*.py"):
        stored.write_text("raise SystemExit('tampered')\n")
    saved = tmp_path / "saved"
    model.save_pretrained(saved)
    code = {path.name: path.read_bytes() for path in saved.glob("*.py")}
    assert code == {file: (fixtures / "models" / name / file).read_bytes() for file in code}
    assert f"{type(model).__module__.rpartition('.')[2]}.py" in code
    with installed(lockfile=models_lock):
        again = load({"encoder": "AutoModelForMaskedLM"}.get(name, "AutoModelForCausalLM"), saved, "cpu")
    assert type(again).__name__ == type(model).__name__


def test_a_copy_of_a_repository_under_another_name_is_approved_by_content(
    fixtures: Path, models_lock: Path, tmp_path: Path
) -> None:
    """And gets its classes, because they are the same code."""
    from transformers import AutoConfig

    from safe_remote_code import installed

    copied = tmp_path / "1.another-name"
    shutil.copytree(fixtures / "models" / "decoder", copied)
    with installed(lockfile=models_lock):
        config = AutoConfig.from_pretrained(copied, trust_remote_code=True)
        original = AutoConfig.from_pretrained(fixtures / "models" / "decoder", trust_remote_code=True)
    assert type(config) is type(original)


def test_a_second_load_gives_the_same_class(fixtures: Path, models_lock: Path, loaded: Any) -> None:
    from driver import built
    from safe_remote_code import installed

    with installed(lockfile=models_lock):
        again = built("AutoModelForCausalLM", fixtures / "models" / "decoder", "cpu")
    assert type(again) is type(loaded["decoder"])


def test_code_that_changes_on_disk_after_a_load_never_runs(fixtures: Path, tmp_path: Path) -> None:
    """It is refused, or, where transformers remembers the class and does not ask again, without effect."""
    from driver import built
    from safe_remote_code import RefusedError, installed

    folder, lockfile = tmp_path / "mutable", tmp_path / "lock"
    shutil.copytree(fixtures / "models" / "decoder", folder)
    pin_folder(folder, lockfile)
    with installed(lockfile=lockfile):
        model = built("AutoModelForCausalLM", folder, "cpu")
        code = folder / "modeling_larch.py"
        code.write_bytes(code.read_bytes() + b"\nraise SystemExit\n")
        try:
            again = built("AutoModelForCausalLM", folder, "cpu")
        except RefusedError:
            again = model
        assert type(again) is type(model)
        code = folder / "configuration_larch.py"
        code.write_bytes(code.read_bytes() + b"\nraise SystemExit\n")
        with pytest.raises(RefusedError):
            built("AutoModelForCausalLM", folder, "cpu")
    assert pickle.loads(pickle.dumps(model)).num_parameters() == model.num_parameters()
