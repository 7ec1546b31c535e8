"""What guarded code gets in the place of builtins that reach further than one would think."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")

from pinned import pin_folder
from safe_remote_code.errors import PolicyError
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
    with pytest.raises(PolicyError, match="makes trusted code load native code|lists kernels"):
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
