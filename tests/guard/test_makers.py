"""Makers of library objects: what they make is the same, and the arguments that reach further are not there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("RestrictedPython")
pytest.importorskip("torch")

import torch

from safe_remote_code.errors import GuardViolationError

from .written import written

#: What is written for these tests in the place of timm, which need not be installed.
TIMM = {
    "timm/__init__.py": "from .models import create_model, is_model, register_model\n",
    "timm/models/__init__.py": "from ._factory import create_model\nfrom ._registry import is_model, register_model\n",
    "timm/models/_factory.py": """
from ._registry import _model_entrypoints

def create_model(model_name, pretrained=False, **keywords):
    return _model_entrypoints[model_name.partition(".")[0]](pretrained=pretrained, **keywords)
""",
    "timm/models/_registry.py": """
_model_entrypoints = {"resnet18": lambda **keywords: keywords}

def is_model(name):
    return name in _model_entrypoints

def register_model(function):
    _model_entrypoints[function.__name__] = function
    return function
""",
}


def _forget_timm() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        del sys.modules[name]


@pytest.fixture
def timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, text in TIMM.items():
        path = tmp_path / "libraries" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    kept = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == "timm"}
    _forget_timm()
    monkeypatch.syspath_prepend(str(tmp_path / "libraries"))
    yield
    _forget_timm()
    sys.modules.update(kept)


LOADER = """
import torch
from torch.utils.data import DataLoader, Dataset

class Own(Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, index):
        return torch.tensor(index)

def batches(**keywords):
    return [batch.tolist() for batch in DataLoader(Own(), batch_size=4, **keywords)]

def loader():
    return DataLoader(Own(), 4, False, None, None, 2, pin_memory=True, persistent_workers=True, prefetch_factor=2)

def with_workers():
    made = loader()
    made.num_workers = 2

def derived():
    class Mine(DataLoader):
        pass
"""


def test_a_loader_has_no_workers_and_the_same_batches(tmp_path: Path) -> None:
    module = written(tmp_path, LOADER)
    loader = module.loader()
    assert isinstance(loader, torch.utils.data.DataLoader)
    assert (loader.num_workers, loader.persistent_workers, loader.multiprocessing_context, len(loader)) == (0, False, None, 3)
    for options in ({}, {"shuffle": True}, {"drop_last": True}, {"collate_fn": torch.stack}):
        torch.manual_seed(0)
        got = module.batches(num_workers=4, worker_init_fn=print, timeout=3, **options)
        torch.manual_seed(0)
        native = torch.utils.data.DataLoader(module.Own(), batch_size=4, **options)
        assert got == [batch.tolist() for batch in native]


@pytest.mark.parametrize("name", ["with_workers", "derived"])
def test_a_loader_gets_no_workers_later(tmp_path: Path, name: str) -> None:
    module = written(tmp_path, LOADER)
    with pytest.raises(GuardViolationError):
        getattr(module, name)()


CREATING = """
import timm
from timm.models import register_model

@register_model
def own_architecture(pretrained=False, **keywords):
    return "own", keywords

class Lie(str):
    def __hash__(self):
        return hash("resnet18")

def create(*arguments, **keywords):
    return timm.create_model(*arguments, **keywords)

def register(name):
    def function():
        pass
    function.__name__ = name
    return register_model(function)

LIE = Lie("resnet18")
"""


@pytest.mark.usefixtures("timm")
def test_an_architecture_is_made_by_its_name(tmp_path: Path) -> None:
    module = written(tmp_path, CREATING)
    made = module.create("resnet18.a1_in1k", pretrained=False, num_classes=0, img_size=(4, 4), checkpoint_path=None)
    assert made == {"pretrained": False, "num_classes": 0, "img_size": (4, 4), "checkpoint_path": None}
    assert module.create("own_architecture", depth=2) == ("own", {"depth": 2})


@pytest.mark.usefixtures("timm")
@pytest.mark.parametrize(
    ("arguments", "keywords"),
    [
        (("hf-hub:timm/resnet18",), {}),
        (("resnet18.hf-hub:x",), {}),
        (("resnet18./etc",), {}),
        (("none of these",), {}),
        (("resnet18", True), {}),
        (("resnet18",), {"pretrained": 1}),
        (("resnet18",), {"checkpoint_path": "/etc/passwd"}),
        (("resnet18",), {"pretrained_cfg": {"file": "x"}}),
        (("resnet18",), {"pretrained_cfg_overlay": {"file": "x"}}),
        (("resnet18",), {"pretrained_model_args": None, "cache_dir": "x"}),
        (("resnet18",), {"feature_cfg": "x"}),
        (("resnet18",), {"act_layer": print}),
        (("resnet18",), {"sizes": ({},)}),
    ],
)
def test_no_weights_are_fetched_or_read(tmp_path: Path, arguments: tuple[object, ...], keywords: dict[str, object]) -> None:
    module = written(tmp_path, CREATING)
    with pytest.raises(GuardViolationError, match="create_model"):
        module.create(*arguments, **keywords)


@pytest.mark.usefixtures("timm")
def test_an_architecture_takes_no_others_place(tmp_path: Path) -> None:
    module = written(tmp_path, CREATING)
    for name in ("resnet18", module.LIE):
        with pytest.raises(GuardViolationError, match="registering"):
            module.register(name)
    with pytest.raises(GuardViolationError, match="create_model"):
        module.create(module.LIE)
    assert module.register("own_architecture") is not None


def test_the_mixin_of_the_hub_is_a_base_class_and_no_more(tmp_path: Path) -> None:
    module = written(
        tmp_path,
        """
        import torch
        from torch import nn
        from huggingface_hub import PyTorchModelHubMixin

        class Layer(nn.Module, PyTorchModelHubMixin, library_name="layers", tags=["a"]):
            def __init__(self, size, scale=2):
                super().__init__()
                self.inner = nn.Linear(size, size)
                self.scale = scale

            def forward(self, x):
                return self.inner(x) * self.scale

        def made():
            layer = Layer(3)
            layer.scale = 4
            return layer

        def loads():
            return Layer.from_pretrained("org/layers")

        def saves(folder):
            Layer(3).save_pretrained(folder)

        def patches():
            PyTorchModelHubMixin.forward = None
        """,
    )
    layer = module.made()
    assert isinstance(layer, torch.nn.Module) and layer(torch.zeros(1, 3)).shape == (1, 3) and layer.scale == 4
    for call in (module.loads, lambda: module.saves(str(tmp_path / "saved")), module.patches):
        with pytest.raises(GuardViolationError):
            call()
    with pytest.raises(GuardViolationError, match="a method of PyTorchModelHubMixin"):
        layer.push_to_hub("org/layers")
    assert not (tmp_path / "saved").exists()
