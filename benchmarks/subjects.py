"""The models that are measured: three fixtures and two real repositories, each with a batch of inputs.

Real repositories are those of `make realworld`; one that was not assembled is left out, and said so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, final

from tests.modelcases import CASES, ModelCase

ROOT: Final = Path(__file__).resolve().parent.parent
REALWORLD: Final = ROOT / "build" / "realworld" / "repos"
_SPECS: Final = ROOT / "tests" / "realworld" / "repositories.toml"
_REAL: Final = ("internlm2", "tinytimemixer")
_SEED: Final = 0

Inputs = dict[str, Any]  # argument of forward -> tensor


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One model: where its code lies, how it is loaded and run."""

    name: str
    directory: Path
    auto_class: str
    inputs: Callable[[], Inputs]  # called once the native side may be loaded; loads the preprocessor natively
    generate: Mapping[str, Any] | None = None
    compiles: bool = False

    @property
    def references(self) -> tuple[str, str]:
        """The class references of the configuration and of the model, as `auto_map` spells them."""
        auto_map = json.loads((self.directory / "config.json").read_text(encoding="utf-8"))["auto_map"]
        return auto_map["AutoConfig"], auto_map[self.auto_class]


def subjects() -> dict[str, Subject]:
    """All that can be measured here, by name."""
    found = [_fixture(case) for case in CASES] + [_real(name) for name in _REAL if (REALWORLD / name).is_dir()]
    return {subject.name: subject for subject in found}


def assemble_real() -> list[str]:
    """Lay out the real repositories that are not there yet; the names of those that could not be had."""
    missing = [name for name in _REAL if not (REALWORLD / name).is_dir()]
    if missing:
        command = [sys.executable, str(ROOT / "tests" / "realworld" / "run.py"), "--assemble-only", *missing]
        subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return [name for name in missing if not (REALWORLD / name).is_dir()]


def _fixture(case: ModelCase) -> Subject:
    greedy = case.generations.get("greedy")
    return Subject(
        name=case.name,
        directory=case.directory,
        auto_class=case.auto_class,
        inputs=lambda: _fixture_inputs(case),
        generate=greedy,
        compiles=case.compiles,
    )


def _fixture_inputs(case: ModelCase) -> Inputs:
    import transformers

    preprocessor = getattr(transformers, case.preprocessor).from_pretrained(case.directory, trust_remote_code=True)
    return case.inputs(preprocessor)


def _real(name: str) -> Subject:
    (spec,) = (item for item in tomllib.loads(_SPECS.read_text("utf-8"))["repository"] if item["name"] == name)
    return Subject(
        name=name,
        directory=REALWORLD / name,
        auto_class=spec.get("auto_class", "AutoModelForCausalLM"),
        inputs=lambda: {key: _tensor(value) for key, value in spec["inputs"].items() if key != "labels"},
        generate={**spec["generate"], "do_sample": False} if "generate" in spec else None,
    )


def _tensor(description: Mapping[str, Any]) -> Any:
    """The argument that `repositories.toml` describes; only the kinds that the subjects here use."""
    import torch

    kind, shape = description["kind"], description.get("shape")
    generator = torch.Generator().manual_seed(_SEED)
    if kind == "value":
        return description["value"]
    if kind == "ids":
        return torch.randint(description.get("low", 4), description["high"], shape, generator=generator)
    if kind == "normal":
        return torch.randn(shape, generator=generator)
    return {"ones": torch.ones, "zeros": torch.zeros}[kind](shape, dtype=torch.long)
