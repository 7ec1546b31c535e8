"""What guarded code gets in the place of builtins that reach further than one would think."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("RestrictedPython")

from pinned import pin_folder
from safe_remote_code.errors import GuardViolationError, PolicyError
from safe_remote_code.pipeline import load_package
from safe_remote_code.reference import parse


def _module(text: str, folder: Path) -> object:
    repo = folder / "repo"
    repo.mkdir()
    (repo / "main.py").write_text(text + "\n\nclass Main:\n    pass\n", encoding="utf-8")
    lockfile = folder / "remote-code.lock"
    pin_folder(repo, lockfile)
    return load_package(parse("main.Main", repo), lockfile=lockfile).module("main.py")


@pytest.mark.parametrize("name", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "BaseException"])
def test_what_ends_a_process_cannot_be_raised(name: str, tmp_path: Path) -> None:
    """CVE-2026-55244: what passes `except Exception` ends the host's loop, or skips its check."""
    module = _module(f"class Mine({name}):\n    pass\n\n\ndef a():\n    raise {name}('x')\n\n\ndef b():\n    raise Mine", tmp_path)
    for function in ("a", "b"):
        with pytest.raises(Exception) as caught:
            getattr(module, function)()
        assert isinstance(caught.value, Exception)


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n    _compatible_flash_implementations = ['org/repo']\n",
        "def f(self):\n    self._attn_implementation_internal = 'org/repo'\n",
        "def f(config):\n    setattr(config, '_attn_implementation_internal', 'org/repo')\n",
    ],
)
def test_names_that_load_kernels_are_refused(text: str, tmp_path: Path) -> None:
    """CVE-2026-4372: transformers loads native code of any repository that these name."""
    with pytest.raises(PolicyError, match="load native code|lists kernels"):
        _module(text, tmp_path)


_SETS = """
def dotted(config, value):
    config._attn_implementation_internal = value


def by_name(config, value):
    setattr(config, "_attn_implementation_internal", value)


class Config:
    def by_hand(self, value):
        super().__setattr__("_experts_implementation_internal", value)


def by_its_own(config, value):
    config.by_hand(value)
"""


@pytest.mark.parametrize("function", ["dotted", "by_name", "by_its_own"])
def test_an_implementation_of_transformers_may_be_named(function: str, tmp_path: Path) -> None:
    """A configuration that copies `PretrainedConfig` sets it; what names a repository is refused when it is set."""
    module: Any = _module(_SETS, tmp_path)
    config = module.Config()
    for value in (None, "sdpa", "paged|eager"):
        getattr(module, function)(config, value)
        assert list(vars(config).values()) == [value]
    for value in ("org/repo", "org/repo@main:layer", {"": "org/repo"}, type("Lying", (str,), {})("sdpa")):
        with pytest.raises(GuardViolationError, match="load native code"):
            getattr(module, function)(config, value)
    assert list(vars(config).values()) == ["paged|eager"]


def test_the_variables_of_a_function_are_shown_as_a_copy(tmp_path: Path) -> None:
    module: Any = _module(
        """
def shown(a, *rest, **named):
    b = [c for c in rest]
    before = locals()
    before["a"] = "changed"
    vars()["a"] = "changed"
    return a, "before" in locals(), before


def inner(a):
    def seen():
        return a, vars()
    return seen()


def handed_on(call):
    return call(locals)
""",
        tmp_path,
    )
    assert module.shown(1, 2, c=3) == (1, True, {"a": "changed", "rest": (2,), "named": {"c": 3}, "b": [2]})
    assert module.inner(4) == (4, {"a": 4})
    with pytest.raises(GuardViolationError, match="anywhere but in a function of remote code"):
        module.handed_on(lambda call: call())


@pytest.mark.parametrize("text", ["names = locals()", "class A:\n    names = vars()", "names = list(map(lambda f: f(), [locals]))"])
def test_the_names_of_a_module_or_class_are_not_shown(text: str, tmp_path: Path) -> None:
    with pytest.raises((GuardViolationError, PolicyError), match="locals|vars"):
        _module(text, tmp_path)


def test_the_guards_own_names_cannot_be_bound(tmp_path: Path) -> None:
    """CVE-2026-55830, for names that no source text can spell: by `setattr` on an own module, or by `**`."""
    text = (
        "from . import main as me\n\n\ndef f():\n    setattr(me, 'guard write', lambda value: value)\n\n\n"
        "def g(**names):\n    return sorted(names)\n\n\ndef h():\n    return g(**{'guard write': 1})\n"
    )
    module = _module(text, tmp_path)
    with pytest.raises(Exception, match="may not change module"):
        module.f()  # type: ignore[attr-defined]  # what the text defines
    assert module.h() == ["guard write"]  # type: ignore[attr-defined]  # harmless: no name of the function
