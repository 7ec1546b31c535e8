"""Objects that answer any attribute name do not answer numpy, which would believe an address in the answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("transformers")

from safe_remote_code.errors import GuardViolationError
from safe_remote_code.guard.armour import armour_libraries
from safe_remote_code.guard.armour.memory import _CAREFUL, _PROTOCOLS, _Absent, _library_readers, answers_any_name
from safe_remote_code.guard.facade import Facades
from safe_remote_code.guard.ownership import definer
from safe_remote_code.policy import load_policy

from .written import written

#: What is written for these tests in the place of libraries that need not be installed.
EASYDICT = """
class EasyDict(dict):
    def __init__(self, d=None, **kwargs):
        for key, value in dict(d or {}, **kwargs).items():
            setattr(self, key, value)

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        super().__setitem__(name, value)

    __setitem__ = __setattr__
"""
ADDICT = """
class Dict(dict):
    def __getattr__(self, item):
        return self.__getitem__(item)

    def __missing__(self, name):
        return self.__class__()
"""
LIE = """
import numpy
import torch

target = torch.arange(4, dtype=torch.uint8)
interface = {"data": (target.data_ptr(), False), "shape": (4,), "typestr": "|u1", "version": 3}

def write(lie):
    numpy.asarray(lie).reshape(-1)[:1] = 77
"""


@pytest.fixture
def stand_in_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, text in {"easydict": EASYDICT, "addict": ADDICT}.items():
        folder = tmp_path / "libraries" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.syspath_prepend(str(tmp_path / "libraries"))
    monkeypatch.setattr("safe_remote_code.guard.armour.withheld._asked", set())
    yield
    for name in ("easydict", "addict"):
        sys.modules.pop(name, None)


def _refused_or_silent(module: Any) -> list[int]:
    try:
        module.attack()
    except (GuardViolationError, ValueError, TypeError):
        pass
    return list(module.target)


ATTACKS = {
    "easydict-keywords": "write(EasyDict({'__array_interface__': interface}))",
    "easydict-item": "made = EasyDict()\n    made['__array_interface__'] = interface\n    write(made)",
    "addict": "write(Dict({'__array_interface__': interface}))",
    "addict-missing": "write(Missing())",
    "feature": "write(Feature(interface))",
    "encoding": "write(Encoding(interface))",
}


@pytest.mark.usefixtures("stand_in_libraries")
@pytest.mark.parametrize("name", ATTACKS)
def test_no_address_is_believed(name: str, tmp_path: Path) -> None:
    text = f"""{LIE}
from addict import Dict
from easydict import EasyDict
from transformers import BatchEncoding, BatchFeature

class Missing(Dict):
    def __missing__(self, name):
        return interface

class Feature(BatchFeature):
    def __init__(self, held):
        self.held = held

    @property
    def data(self):
        return {{"__array_interface__": self.held}}

class Encoding(BatchEncoding):
    def __init__(self, held):
        self.held = held

    @property
    def data(self):
        return {{"__array_interface__": self.held}}

def attack():
    {ATTACKS[name]}
"""
    assert _refused_or_silent(written(tmp_path, text)) == [0, 1, 2, 3]


@pytest.mark.usefixtures("stand_in_libraries")
def test_entries_are_attributes(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import copy
        from addict import Dict
        from easydict import EasyDict
        from transformers.utils import ModelOutput

        easy, loose, output = EasyDict({"a": 1}, b=2), Dict({"a": {"x": 1}}), ModelOutput()
        easy["c"], output["c"] = 3, 4
        found = easy.a, easy.b, easy.c, loose.a["x"], loose.missing, output.c, copy.deepcopy(easy).c, copy.copy(loose).a
        """,
    )
    assert module.found == (1, 2, 3, 1, {}, 4, 3, {"x": 1})


def test_an_item_is_no_class(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        from transformers.utils import ModelOutput

        class Other(ModelOutput):
            pass

        def attack(name, value):
            ModelOutput()[name] = value
        """,
    )
    for name, value in {"__class__": module.Other, "__dict__": {}}.items():
        with pytest.raises(GuardViolationError, match="would be an attribute"):
            module.attack(name, value)


def test_granted_classes_that_answer_any_name_are_armoured() -> None:
    """Of all libraries that are installed, once a facade shows them."""
    policy = load_policy("default")
    granted = policy.granted("hub:any/thing")
    for name in sorted({name.rpartition(".")[0] for grant in policy.grants for name in grant.names if "*" not in name}):
        try:
            import_module(name)
        except Exception:
            continue  # not installed, or not on this system
    armour_libraries()
    facades, seen = Facades(granted, {}), set()
    for name, module in sorted(sys.modules.items()):
        shown = [(key, value) for key, value in list(getattr(module, "__dict__", {}).items()) if isinstance(value, type)]
        for key, value in shown:
            if value in seen or issubclass(value, type) or not granted.allows(f"{name}.{key}"):
                continue
            seen.add(value)
            if answers_any_name(value) and facades._view(f"{name}.{key}", value) is value:
                _check_armoured(value)
    assert len(seen) > 500


def _check_armoured(cls: type) -> None:
    for name in _PROTOCOLS:
        home = definer(cls, name)
        assert home is not None, f"{cls} answers {name}"
        assert isinstance(home.__dict__[name], _Absent) or home.__module__.startswith("torch"), f"{cls}.{name}"
    for home, name in _library_readers(cls):
        reader = home.__dict__[name]
        assert isinstance(reader, FunctionType)
        careful = f"{home.__module__}.{home.__qualname__}" in _CAREFUL
        assert careful or getattr(reader, "_keeps_from_special", False), f"{home}.{name}"
