"""Class loading in a fresh process: one process a sample, the sides in turn.

    python -m benchmarks.loading native|ours DIRECTORY LOCKFILE imported|plain REFERENCE...

is that process. It prints the seconds that `get_class_from_dynamic_module` took for all references, from after
`import torch, transformers` on. Importing the module that holds the function is part of what is timed, on both sides.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .measure import Measurement, Side
    from .subjects import Subject
    from .workplace import Workplace

#: What transformers imports for a model class, sooner or later; `load-imported` has it before the clock starts.
_IMPORTED = (
    "modeling_utils", "modeling_outputs", "generation", "masking_utils", "modeling_layers", "models.auto.modeling_auto",
)  # fmt: skip


def load_fresh(subject: Subject, place: Workplace, rounds: int) -> list[Measurement]:
    """`load-fresh`, `load-fresh-process`."""
    names = [f"load-fresh/{subject.name}", f"load-fresh-process/{subject.name}"]
    return _measured(subject, place, rounds, "plain", names)


def load_imported(subject: Subject, place: Workplace, rounds: int) -> list[Measurement]:
    """`load-imported`."""
    return _measured(subject, place, rounds, "imported", [f"load-imported/{subject.name}"])


def _measured(subject: Subject, place: Workplace, rounds: int, before: str, names: list[str]) -> list[Measurement]:
    from .measure import interleave, measurements

    def sample(side: Side) -> list[float]:
        words = (side, str(subject.directory), str(place.lockfile), before, *subject.references)
        loading, whole = place.run("benchmarks.loading", *words)
        return [loading, whole]

    return measurements(names, interleave(sample, rounds))


def main() -> None:
    """Load once and print the seconds."""
    side, directory, lockfile, before, *references = sys.argv[1:]
    import torch  # noqa: F401  # what any user of the classes has
    import transformers

    if before == "imported":
        for name in _IMPORTED:
            importlib.import_module(f"{transformers.__name__}.{name}")
    start = time.perf_counter()
    if side == "native":
        from transformers.dynamic_module_utils import get_class_from_dynamic_module

        for reference in references:
            get_class_from_dynamic_module(reference, directory)
    else:
        from safe_remote_code import get_class_from_dynamic_module as guarded

        for reference in references:
            guarded(reference, directory, lockfile=lockfile)
    print(json.dumps(time.perf_counter() - start))


if __name__ == "__main__":
    main()
