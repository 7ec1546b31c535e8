"""What the benchmark writes has the shape that it says; never how fast anything is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import Measurement, Side, interleave, measurements

pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.subjects import subjects

ROOT = Path(__file__).resolve().parent.parent


def test_sides_alternate_and_warm_ups_are_not_kept() -> None:
    order: list[Side] = []

    def sample(side: Side) -> list[float]:
        order.append(side)
        return [float(len(order))]

    pairs = interleave(sample, rounds=3, warmups=1)
    assert order == ["native", "ours", "native", "ours", "ours", "native", "native", "ours"]
    assert [set(pair) for pair in pairs] == [{"native", "ours"}] * 3
    (found,) = measurements(["x"], pairs)
    assert found.native == (3.0, 6.0, 7.0)
    assert found.ours == (4.0, 5.0, 8.0)


def test_the_ratio_is_of_the_medians_and_the_spread_of_the_pairs() -> None:
    found = Measurement(name="x", native=(1.0, 2.0, 4.0), ours=(1.0, 1.0, 6.0))
    assert found.ratio == 0.5
    assert found.spread == (0.5, 1.5)
    assert {"name": "x", "native": 2.0, "ours": 1.0, "ratio": 0.5}.items() <= found.entry().items()


@pytest.mark.parametrize(("native", "ours"), [((), ()), ((1.0,), (1.0, 2.0))])
def test_a_sample_without_partner_is_refused(native: tuple[float, ...], ours: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="each sample has a partner"):
        Measurement(name="x", native=native, ours=ours)


def test_every_subject_names_its_classes() -> None:
    found = subjects()
    assert {"decoder", "encoder", "vision_language"} <= set(found)
    for subject in found.values():
        for reference in subject.references:
            assert (subject.directory / f"{reference.partition('.')[0]}.py").is_file()


@pytest.mark.torch
def test_a_short_run_writes_what_it_prints(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    command = [sys.executable, "-m", "benchmarks", "decoder", "--rounds", "1", "--processes", "1", "--json", str(path)]
    done = subprocess.run(
        [*command, "--kind", "running", "--kind", "fresh"], cwd=ROOT, text=True, capture_output=True, timeout=600
    )
    assert done.returncode == 0, done.stderr
    entries = json.loads(path.read_text(encoding="utf-8"))
    kinds = {entry["name"].partition("/")[0] for entry in entries}
    assert {"load-fresh", "load-fresh-process", "load-repeated", "forward", "generate", "compile"} <= kinds
    for entry in entries:
        assert entry["name"] in done.stdout
        assert entry["name"].endswith("/decoder")
        assert entry["native"] > 0 and entry["ours"] > 0
        assert entry["ratio"] == pytest.approx(entry["ours"] / entry["native"])
