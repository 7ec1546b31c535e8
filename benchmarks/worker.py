"""A model in a worker beside the native one: start-up, forward and generate, small and of 100 million parameters.

    python -m benchmarks.worker NAME LOCKFILE ROUNDS

is that process. Both sides have the same seeded weights; before anything is timed, their outputs are compared bit
for bit. `worker-start` is the time until a model can be asked: natively its construction, in a process that has
imported everything; ours with the start of the process, its confinement, and its import of torch and transformers.
The cost of a call is one message each way and a copy of its tensors, whatever happens in between, so the ratio of a
small forward is large and that of a long generate is not.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from .measure import Measurement, Side, interleave, measurements
from .subjects import Subject, subjects

#: 8 layers of 9.4 million and an embedding of 24.6 million, tied: 100 million parameters.
LARGE: Final = {
    "vocab_size": 32_000, "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 8,
    "num_attention_heads": 12, "num_key_value_heads": 12,
}  # fmt: skip
_LARGE_OF: Final = "decoder"
_LARGE_ROUNDS: Final = 12
_START_ROUNDS: Final = 5
_TOKENS: Final = 32
_SEED: Final = 0


def run(name: str, lockfile: Path, rounds: int) -> Iterator[Measurement]:
    """Everything that is measured about the subject `name`."""
    subject = subjects()[name]
    policy = _policy()
    inputs = subject.inputs()
    models = _models(subject, lockfile, policy, {})
    yield from _calls(subject.name, models, inputs, dict(subject.generate or {}), rounds)
    del models  # with its worker, so that each start is one
    yield from _starts(subject, lockfile, policy)
    if name == _LARGE_OF:
        large = _models(subject, lockfile, policy, LARGE)
        prompt = {"max_new_tokens": _TOKENS, "min_new_tokens": _TOKENS, "do_sample": False}
        yield from _calls(f"{name}-100m", large, inputs, prompt, min(rounds, _LARGE_ROUNDS))


def _policy() -> Path:
    path = Path(tempfile.mkdtemp()) / "worker.toml"
    path.write_text('format = 1\nname = "worker"\nextends = ["default"]\nexecution = "worker"\n', encoding="utf-8")
    return path


def _load(subject: Subject, changes: dict[str, int]) -> Any:
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(subject.directory, trust_remote_code=True, **changes)
    torch.manual_seed(_SEED)
    return getattr(transformers, subject.auto_class).from_config(config, trust_remote_code=True).eval()


def _models(subject: Subject, lockfile: Path, policy: Path, changes: dict[str, int]) -> dict[Side, Any]:
    import torch

    from safe_remote_code import installed

    native, inputs = _load(subject, changes), subject.inputs()
    with installed(policy=policy, lockfile=lockfile):
        ours = _load(subject, changes)
    with torch.no_grad():
        first, second = (model(**inputs)[0] for model in (native, ours))
    if not torch.equal(first, second):
        raise RuntimeError(f"{subject.name}: the two sides differ")
    return {"native": native, "ours": ours}


def _calls(
    name: str, models: dict[Side, Any], inputs: dict[str, Any], prompt: dict[str, Any], rounds: int
) -> Iterator[Measurement]:
    import torch

    with torch.no_grad():
        yield from _measured(f"worker-forward/{name}", lambda side: models[side](**inputs), rounds)
        if prompt:
            yield from _measured(
                f"worker-generate/{name}", lambda side: models[side].generate(**(prompt | inputs)), rounds
            )


def _starts(subject: Subject, lockfile: Path, policy: Path) -> list[Measurement]:
    from safe_remote_code import installed

    def load(side: Side) -> None:
        if side == "native":
            _load(subject, {})
            return
        with installed(policy=policy, lockfile=lockfile):
            _load(subject, {})
        gc.collect()  # the model is dropped, and its worker with it

    return _measured(f"worker-start/{subject.name}", load, _START_ROUNDS, fresh=True)


def _measured(name: str, call: Callable[[Side], object], rounds: int, *, fresh: bool = False) -> list[Measurement]:
    def sample(side: Side) -> list[float]:
        start = time.perf_counter()
        call(side)
        return [time.perf_counter() - start]

    interleave(sample, 0, 0 if fresh else 2)
    return measurements([name], interleave(sample, rounds, 0 if fresh else 1))


def main() -> None:
    """Measure one subject and print the samples as JSON."""
    warnings.simplefilter("ignore")
    name, lockfile, rounds = sys.argv[1:]
    found = run(name, Path(lockfile), int(rounds))
    print(json.dumps([{"name": item.name, "native": item.native, "ours": item.ours} for item in found]))


if __name__ == "__main__":
    main()
