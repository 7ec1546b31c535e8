"""`install()` puts our loader everywhere, and `uninstall()` takes it away again everywhere."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pinned import pin_folder
from safe_remote_code import DocumentError, RefusedError, install, installed, uninstall

from .repos import is_guarded, tiny

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("not_installed")]

HOLDERS = (
    "transformers.dynamic_module_utils", "transformers.models.auto.auto_factory",
    "transformers.models.auto.configuration_auto", "transformers.models.auto.tokenization_auto",
    "transformers.models.auto.processing_auto", "transformers.models.auto.image_processing_auto",
    "transformers.models.auto.feature_extraction_auto", "transformers.pipelines", "transformers.generation.utils",
    "transformers.modeling_utils", "transformers.configuration_utils", "transformers.tokenization_utils_base",
)  # fmt: skip


def home() -> ModuleType:
    return importlib.import_module("transformers.dynamic_module_utils")


def bindings() -> dict[tuple[str, str], Any]:
    """Every binding of a patched name in any module that is loaded."""
    from safe_remote_code.integrations.transformers_patch import PATCHED

    for name in HOLDERS:
        importlib.import_module(name)
    return {
        (module_name, name): vars(module)[name]
        for module_name, module in sorted(sys.modules.items())
        if isinstance(module, ModuleType) and module_name.startswith(("transformers.", "early_", "late_"))
        for name in PATCHED
        if name in vars(module)
    }


@pytest.fixture
def importer() -> Iterator[Any]:
    """Makes modules that import a function of transformers by name, under a name of one's own."""
    made = []

    def make(name: str) -> ModuleType:
        module = ModuleType(name)
        exec("from transformers.dynamic_module_utils import get_class_from_dynamic_module", vars(module))
        sys.modules[name] = module
        made.append(name)
        return module

    yield make
    for name in made:
        del sys.modules[name]


def test_every_holder_gets_ours_and_gets_its_own_back(importer: Any) -> None:
    early = importer("early_importer")
    before = bindings()
    assert ("early_importer", "get_class_from_dynamic_module") in before
    expected = {"transformers.pipelines", "transformers.models.auto.auto_factory", "transformers.modeling_utils"}
    assert {module for module, _ in before} >= expected
    install()
    during = bindings()
    assert set(during) == set(before)
    assert [key for key in before if during[key] is before[key]] == []
    late = importer("late_importer")
    assert late.get_class_from_dynamic_module == early.get_class_from_dynamic_module
    uninstall()
    after = bindings()
    assert all(after[key] is before[key] for key in before)
    assert late.get_class_from_dynamic_module is early.get_class_from_dynamic_module


def test_installing_twice_is_undone_once() -> None:
    before = bindings()
    install()
    install()
    uninstall()
    assert all(value is before[key] for key, value in bindings().items())


def test_uninstalling_without_installing_does_nothing() -> None:
    before = bindings()
    uninstall()
    assert all(value is before[key] for key, value in bindings().items())


def test_an_inner_installation_gives_way_to_the_outer_one(tmp_path: Path) -> None:
    from transformers import AutoConfig

    folder = tiny(tmp_path / "nested")
    outer, inner = tmp_path / "outer.lock", tmp_path / "inner.lock"
    pin_folder(folder, inner)
    before = bindings()

    def loads() -> bool:
        try:
            return is_guarded(type(AutoConfig.from_pretrained(folder, trust_remote_code=True)))
        except RefusedError:
            return False

    with installed(lockfile=outer):
        assert not loads()
        with installed(lockfile=inner):
            assert loads()
        assert not loads()
        with installed(lockfile=inner):
            uninstall()
            assert all(value is before[key] for key, value in bindings().items())
        assert not loads()
    assert all(value is before[key] for key, value in bindings().items())


def test_an_exception_inside_the_block_restores_as_well() -> None:
    before = bindings()
    with pytest.raises(KeyError, match="mine"), installed():
        raise KeyError("mine")
    assert all(value is before[key] for key, value in bindings().items())


def test_a_malformed_policy_leaves_everything_as_it_was(tmp_path: Path) -> None:
    before = bindings()
    policy = tmp_path / "bad.toml"
    policy.write_text("format = 1\n[[grant]]\nnames = ['*']\nwhy = 'all'\n")
    with pytest.raises(DocumentError):
        install(policy=policy)
    assert all(value is before[key] for key, value in bindings().items())


def test_a_relative_lock_file_means_the_folder_of_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import AutoConfig

    folder = tiny(tmp_path / "relative")
    pin_folder(folder, tmp_path / "remote-code.lock")
    monkeypatch.chdir(tmp_path)
    install()
    monkeypatch.chdir("/")
    assert is_guarded(type(AutoConfig.from_pretrained(folder, trust_remote_code=True)))


def test_an_early_importer_of_the_original_function_is_guarded_too(tmp_path: Path) -> None:
    """It holds the function itself, out of our sight; the two functions below it are globals of its module."""
    held = [home().get_class_from_dynamic_module]
    folder = tiny(tmp_path / "early")
    pin_folder(folder, tmp_path / "lock")
    with installed(lockfile=tmp_path / "lock"):
        found = held[0]("configuration_tiny.TinyConfig", str(folder))
    assert is_guarded(found)
    with installed(lockfile=tmp_path / "empty"), pytest.raises(RefusedError):
        held[0]("configuration_tiny.TinyConfig", str(folder))


def test_a_module_that_did_not_come_through_the_walls_is_refused(tmp_path: Path) -> None:
    """Whoever puts a file into the module cache by himself does not get it executed by the lower function."""
    with installed(lockfile=tmp_path / "lock"), pytest.raises(RefusedError, match="did not come through"):
        home().get_class_in_module("Thing", "somewhere/thing.py")


def test_the_drop_in_has_the_signature_of_transformers() -> None:
    from safe_remote_code import get_class_from_dynamic_module

    ours = inspect.signature(get_class_from_dynamic_module).parameters
    theirs = inspect.signature(home().get_class_from_dynamic_module).parameters
    extra = {"policy": inspect.Parameter.KEYWORD_ONLY, "lockfile": inspect.Parameter.KEYWORD_ONLY}
    assert {name: ours[name].kind for name in extra} == extra
    deprecated = {"resume_download", "use_auth_token"}  # 4.x; taken by **kwargs
    shape = [(p.name, p.kind, p.default) for p in ours.values() if p.name not in extra and p.kind != p.VAR_KEYWORD]
    assert shape == [
        (p.name, p.kind, p.default)
        for p in theirs.values()
        if p.name not in deprecated and p.kind != p.VAR_KEYWORD
    ]
    assert any(p.kind == p.VAR_KEYWORD for p in ours.values())


def test_arguments_by_position_mean_what_the_installed_version_says(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "positional")
    pin_folder(folder, tmp_path / "lock")
    names = list(inspect.signature(home().get_class_from_dynamic_module).parameters)
    defaults: dict[str, Any] = {"force_download": True}
    arguments = [defaults.get(name) for name in names[2 : names.index("code_revision") + 1]]
    with installed(lockfile=tmp_path / "lock"):
        load = home().get_class_from_dynamic_module
        found = load("configuration_tiny.TinyConfig", str(folder), *arguments, ignored_by_all=1)
    assert is_guarded(found)


def test_policy_and_lock_file_may_be_given_by_call(tmp_path: Path) -> None:
    folder = tiny(tmp_path / "by_call")
    pin_folder(folder, tmp_path / "lock")
    with installed(lockfile=tmp_path / "empty"):
        load = home().get_class_from_dynamic_module
        assert is_guarded(load("configuration_tiny.TinyConfig", folder, lockfile=tmp_path / "lock", policy="default"))


def test_a_class_that_was_loaded_natively_is_not_used_after_installation(tmp_path: Path) -> None:
    """Auto classes remember classes by configuration class; the guarded configuration is another one."""
    from transformers import AutoConfig, AutoModel

    folder = tiny(tmp_path / "before")

    def load() -> list[type]:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=True)
        model = AutoModel.from_pretrained(folder, trust_remote_code=True)
        return [type(config), type(model), type(AutoModel.from_config(config, trust_remote_code=True))]

    assert not any(is_guarded(kind) for kind in load())
    with installed(lockfile=tmp_path / "lock"), pytest.raises(RefusedError):
        load()
    pin_folder(folder, tmp_path / "lock")
    with installed(lockfile=tmp_path / "lock"):
        assert all(is_guarded(kind) for kind in load())
    assert not any(is_guarded(kind) for kind in load())


def test_a_direct_call_is_under_the_installed_policy_and_lock_file(tmp_path: Path) -> None:
    """Else trust rules of the installed policy would be passed over without a word."""
    from safe_remote_code import get_class_from_dynamic_module

    folder = tiny(tmp_path / "direct")
    pin_folder(folder, tmp_path / "lock")
    denying = tmp_path / "deny.toml"
    denying.write_text('format = 1\nextends = ["default"]\n[sources]\ndeny = ["*"]\n')
    with installed(lockfile=tmp_path / "lock"):
        assert is_guarded(get_class_from_dynamic_module("configuration_tiny.TinyConfig", folder))
        with installed(denying, tmp_path / "lock"), pytest.raises(RefusedError, match="does not allow"):
            get_class_from_dynamic_module("configuration_tiny.TinyConfig", folder)
        assert is_guarded(get_class_from_dynamic_module("configuration_tiny.TinyConfig", folder))
    with pytest.raises(RefusedError, match="not pinned"):
        get_class_from_dynamic_module("configuration_tiny.TinyConfig", tiny(tmp_path / "other", "B"))
