"""What a run found: for a reader, and as JSON for the table of guarantees."""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.chaos.oracle import HITS, Oracle

SOAK = "soak"
"""The name of the run of random faults that lasts as long as asked."""
PERCENTS = (50, 99, 99.9)


@dataclass(slots=True)
class Report:
    """A run of one scenario. Times are in seconds; staleness is how outdated answers were when asked for.

    `figures` is for what a scenario counts by itself. `converged_after` has, by fault, when after its end the last
    answer was asked for that was outdated at all.
    """

    name: str
    mode: str
    bound: float
    reads: int = 0
    commits: int = 0
    violations: int = 0
    worst: float = 0.0
    percentiles: dict[str, float] = field(default_factory=dict)
    worst_by_phase: dict[str, float] = field(default_factory=dict)
    hits: dict[str, int] = field(default_factory=dict)
    layers: dict[str, int] = field(default_factory=dict)
    failures: dict[int, int] = field(default_factory=dict)
    converged_after: list[float] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)

    def failed(self, status: int) -> None:
        """Count an answer other than a 200."""
        self.failures[status] = self.failures.get(status, 0) + 1

    def take(self, oracle: Oracle) -> None:
        """Take what the oracle found."""
        total = oracle.total
        self.reads, self.commits, self.violations = total.reads, oracle.committed, total.violations
        self.worst = total.staleness.worst
        self.percentiles = {f"p{percent:g}": total.staleness.percentile(percent) for percent in PERCENTS}
        self.worst_by_phase = {phase: tally.staleness.worst for phase, tally in oracle.tallies.items()}
        self.hits = {layer: total.hits(layer) for layer in HITS}
        layers: Counter[str] = Counter()
        for (_, layer), count in total.layers.items():
            layers[layer] += count
        self.layers = dict(layers.most_common())

    def __str__(self) -> str:
        figures = [f"  {name}: {value:g}" for name, value in self.figures.items()]
        if not self.reads:
            return "\n".join([f"{self.name} ({self.mode})", *figures])
        staleness = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in self.percentiles.items())
        layers = ", ".join(f"{layer} {count:,}" for layer, count in self.layers.items())
        lines = [
            f"{self.name} ({self.mode}): {self.violations} of {self.reads:,} answers older than {self.bound:g} s",
            f"  outdated by {staleness}, at worst {self.worst:.3f} s; {self.commits:,} commits",
            f"  answers from {layers}",
        ]
        lines += [f"  worst while {phase}: {seconds:.3f} s" for phase, seconds in self.worst_by_phase.items()]
        if self.failures:
            lines.append(f"  without an answer: {self.failures}")
        if self.converged_after:
            lines.append(f"  newest everywhere after {max(self.converged_after):.3f} s")
        return "\n".join([*lines, *figures])

    def store(self, directory: Path, **more: object) -> Path:
        """Write it, and what there is `more`, to `directory`, beside those of other runs; return the file."""
        directory.mkdir(parents=True, exist_ok=True)
        path = directory / f"{self.name}.{self.mode}.{time.time_ns()}.json"
        path.write_text(json.dumps({**asdict(self), **more}, indent=2) + "\n")
        return path


Record = Callable[[Report], None]
"""The fixture `record`: prints a report, and keeps it."""


def read_reports(directory: Path) -> Mapping[str, list[dict[str, Any]]]:
    """Return the reports in `directory`, by scenario."""
    reports: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(directory.glob("*.json")):
        report = json.loads(path.read_text())
        reports.setdefault(report["name"], []).append(report)
    return reports
