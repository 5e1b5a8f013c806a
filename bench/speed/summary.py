"""What the rounds come to: medians, and ratios to the raw application in the same round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Line:
    """The medians of one contender at one size. Latencies, and `cpu` a request, are in µs; `ratio` is of the rates."""

    name: str
    rps: float
    ratio: float
    p50: float
    p99: float
    p999: float
    cpu: float
    mib: float


def lines(by_name: Mapping[str, Records], raw: str) -> list[Line]:
    """Return a line for each contender that was measured, the fastest first.

    A ratio is the median of the ratios to `raw` in the same round, 0 where there is no round with both.
    """
    found = []
    for name, records in by_name.items():
        good = [each for each in records if "rps" in each]
        if not good:
            continue
        middle = {
            figure: median(each[figure] for each in good) for figure in ("rps", "p50", "p99", "p999", "cpu", "mib")
        }
        found.append(Line(name=name, ratio=ratio(records, by_name.get(raw, ())), **middle))
    return sorted(found, key=lambda line: -line.rps)


def ratio(records: Records, to: Records, figure: str = "rps") -> float:
    """Return the median of the ratios of a figure, round by round; 0 where no round has both."""
    pairs = zip(records, to, strict=False)
    ratios = [one[figure] / other[figure] for one, other in pairs if other.get(figure) and figure in one]
    return median(ratios) if ratios else 0.0


def failures(by_name: Mapping[str, Records]) -> dict[str, str]:
    """Return why a contender failed, for each that did in any round."""
    return {
        name: str(reasons[0])
        for name, records in by_name.items()
        if (reasons := [each["failed"] for each in records if "failed" in each])
    }
