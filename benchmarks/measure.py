"""Samples of two sides taken in turn, and what is said of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal, final

Side = Literal["native", "ours"]
SIDES: Final[tuple[Side, Side]] = ("native", "ours")


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Seconds of both sides; `native[i]` and `ours[i]` were taken right after each other."""

    name: str
    native: tuple[float, ...]
    ours: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.native or len(self.native) != len(self.ours):
            raise ValueError(f"{self.name}: each sample has a partner, and there is one at least")

    @property
    def ratio(self) -> float:
        """Median of ours over median of native."""
        return statistics.median(self.ours) / statistics.median(self.native)

    @property
    def spread(self) -> tuple[float, float]:
        """First and third quartile of the pairs' own ratios."""
        ratios = sorted(ours / native for ours, native in zip(self.ours, self.native, strict=True))
        return ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]

    def entry(self) -> dict[str, object]:
        """What is written to `bench.json`; seconds."""
        return {
            "name": self.name,
            "native": statistics.median(self.native),
            "ours": statistics.median(self.ours),
            "ratio": self.ratio,
            "spread": list(self.spread),
            "samples": len(self.native),
        }

    def row(self) -> str:
        """One line for people."""
        low, high = self.spread
        native, ours = (1e3 * statistics.median(samples) for samples in (self.native, self.ours))
        spread = f"{low:.3f} - {high:.3f} ({len(self.native)})"
        return f"{self.name:<34} {native:>10.3f} {ours:>10.3f} {self.ratio:>7.3f}   {spread}"


def interleave(sample: Callable[[Side], list[float]], rounds: int, warmups: int = 1) -> list[dict[Side, list[float]]]:
    """`rounds` pairs in the order ABBA; a sample is one or more times taken together. Warm-ups are not kept."""
    for side in SIDES * warmups:
        sample(side)
    pairs: list[dict[Side, list[float]]] = []
    for number in range(rounds):
        order = SIDES if number % 2 == 0 else SIDES[::-1]
        pairs.append({side: sample(side) for side in order})
    return pairs


def measurements(names: list[str], pairs: list[dict[Side, list[float]]]) -> list[Measurement]:
    """One measurement for each place in the samples."""
    return [
        Measurement(
            name=name,
            native=tuple(pair["native"][place] for pair in pairs),
            ours=tuple(pair["ours"][place] for pair in pairs),
        )
        for place, name in enumerate(names)
    ]
