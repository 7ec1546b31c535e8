"""A loaded model at work: both sides in one process, single calls in turn.

    python -m benchmarks.running NAME LOCKFILE ROUNDS

is that process. The native model is loaded first, then ours with the native model's weights; the modules of the two
have different names. Before anything is timed, their outputs are compared bit for bit. The audit hook of the monitor
is in the process for both sides, so its own cost is not in these ratios: 0.13 µs for each audit event of the
interpreter, of which a forward raises none and a `generate`, however long, about 340 (copying its configuration).
"""

from __future__ import annotations

import gc
import json
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .measure import Measurement, Side, interleave, measurements
from .subjects import Subject, subjects

if TYPE_CHECKING:
    import torch

_WARMUPS = 5


def run(name: str, lockfile: Path, rounds: int) -> Iterator[Measurement]:
    """Everything that is measured in one process about the subject `name`."""
    import torch

    subject = subjects()[name]
    models, inputs = _models(subject, lockfile)
    yield from _repeated(subject, lockfile, rounds)
    for device, suffix in [("cpu", "")] + [("cuda", "-cuda")] * torch.cuda.is_available():
        placed = {key: value.to(device) if hasattr(value, "to") else value for key, value in inputs.items()}
        moved: dict[Side, torch.nn.Module] = {side: model.to(device) for side, model in models.items()}
        yield from _on_device(subject, moved, placed, suffix, rounds)


def _models(subject: Subject, lockfile: Path) -> tuple[dict[Side, torch.nn.Module], dict[str, Any]]:
    import torch

    from safe_remote_code import installed

    native, inputs = _load(subject), subject.inputs()
    with installed(lockfile=lockfile):
        ours = _load(subject)
    ours.load_state_dict(native.state_dict())
    models: dict[Side, torch.nn.Module] = {"native": native, "ours": ours}
    with torch.no_grad():
        first, second = (_tensors(model(**inputs)) for model in models.values())
    if type(native) is type(ours) or not first or not all(map(torch.equal, first, second)):
        raise RuntimeError(f"{subject.name}: the two sides are not two equal models")
    return models, inputs


def _load(subject: Subject) -> Any:
    import transformers

    config = transformers.AutoConfig.from_pretrained(subject.directory, trust_remote_code=True)
    return getattr(transformers, subject.auto_class).from_config(config, trust_remote_code=True).eval()


def _tensors(output: Any) -> list[torch.Tensor]:
    values = output.to_tuple() if hasattr(output, "to_tuple") else output
    return [value for value in values if hasattr(value, "shape")]


def _repeated(subject: Subject, lockfile: Path, rounds: int) -> list[Measurement]:
    from transformers.dynamic_module_utils import get_class_from_dynamic_module as native

    from safe_remote_code import get_class_from_dynamic_module as guarded

    def load(side: Side) -> None:
        for reference in subject.references:
            if side == "native":
                native(reference, subject.directory)
            else:
                guarded(reference, subject.directory, lockfile=lockfile)

    return _measured(f"load-repeated/{subject.name}", load, rounds)


def _on_device(
    subject: Subject, models: dict[Side, Any], inputs: dict[str, Any], suffix: str, rounds: int
) -> Iterator[Measurement]:
    import torch

    with torch.no_grad():
        yield from _measured(f"forward{suffix}/{subject.name}", lambda side: models[side](**inputs), rounds)
        if subject.generate is not None:
            prompt = {**subject.generate, **inputs}
            yield from _measured(f"generate{suffix}/{subject.name}", partial(_generate, models, prompt), rounds)
        if subject.compiles:
            compile_ = partial(torch.compile, fullgraph=True, backend=_backend())
            compiled = {side: compile_(model) for side, model in models.items()}
            yield from _measured(f"compile{suffix}/{subject.name}", lambda side: compiled[side](**inputs), rounds)


def _generate(models: dict[Side, Any], prompt: dict[str, Any], side: Side) -> object:
    return models[side].generate(**prompt)


def _backend() -> str:
    """Inductor needs a C++ compiler; without one, the traced graph runs eagerly."""
    return "inductor" if any(map(shutil.which, ("c++", "g++", "clang++"))) else "aot_eager"


def _measured(name: str, call: Callable[[Side], object], rounds: int) -> list[Measurement]:
    """Time single calls; the collector runs between the series and not in them."""

    def sample(side: Side) -> list[float]:
        start = time.perf_counter()
        call(side)
        _wait_for_device()
        return [time.perf_counter() - start]

    interleave(sample, 0, _WARMUPS)
    gc.collect()
    gc.disable()
    try:
        return measurements([name], interleave(sample, rounds))
    finally:
        gc.enable()


def _wait_for_device() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def main() -> None:
    """Measure one subject and print the samples as JSON."""
    warnings.simplefilter("ignore")
    name, lockfile, rounds = sys.argv[1:]
    found = run(name, Path(lockfile), int(rounds))
    print(json.dumps([{"name": item.name, "native": item.native, "ours": item.ours} for item in found]))


if __name__ == "__main__":
    main()
