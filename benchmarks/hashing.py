"""Hashing of a whole model against `find | xargs -P sha256sum`: the ratio of the speeds, on files in the page cache.

    python -m benchmarks.hashing [--mebibytes 2048] [--rounds 5]

Both sides use every usable core; xargs gets one file at a time, the layout is that of a sharded model (equal large
shards and a few small files). Sides alternate; the ratio is of the medians.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from safe_remote_code.fetch.tree import hash_files, list_tree

_SMALL = 12


def _fill(folder: Path, mebibytes: int) -> None:
    block = os.urandom(1024 * 1024)
    shards = 8
    for shard in range(shards):
        with (folder / f"model-{shard + 1:05}-of-{shards:05}.safetensors").open("wb") as stream:
            for number in range(mebibytes // shards):
                stream.write(number.to_bytes(8, "big") + block[8:])
    for number in range(_SMALL):
        (folder / f"small-{number}.json").write_bytes(block[: 1000 * number])


def _ours(folder: Path) -> dict[str, str]:
    return hash_files(list_tree(str(folder)))


def _xargs(folder: Path, cores: int) -> dict[str, str]:
    command = f"find . -type f -print0 | xargs -0 -n 1 -P {cores} sha256sum"
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=True)
    lines = (line.split("  ", 1) for line in done.stdout.splitlines())
    return {path.removeprefix("./"): digest for digest, path in lines}


def main() -> int:
    """Measure, check that both sides found the same, print the ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mebibytes", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    times: dict[str, list[float]] = {"ours": [], "sha256sum": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _fill(folder, arguments.mebibytes)
        if _ours(folder) != _xargs(folder, cores):
            raise RuntimeError("the two sides do not agree")
        for _ in range(arguments.rounds):
            for side in times:
                begun = time.perf_counter()
                _ours(folder) if side == "ours" else _xargs(folder, cores)
                times[side].append(time.perf_counter() - begun)
    medians = {side: statistics.median(taken) for side, taken in times.items()}
    for side, taken in times.items():
        speed = arguments.mebibytes / 1024 / medians[side]
        print(f"{side:<10} {medians[side]:7.3f} s  {speed:6.2f} GiB/s  ({min(taken):.3f} to {max(taken):.3f} s)")
    print(f"ratio      {medians['sha256sum'] / medians['ours']:7.2f}  ({cores} cores; at least 0.9 is the aim)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
