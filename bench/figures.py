"""Numbers and tables."""

import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from anomaly_cache.servers.binaries import find_postgres

RESULTS = Path(__file__).parent / "results"


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return a percentile of sorted values: the smallest one that as many percent do not exceed; 0 of none."""
    if not ordered:
        return 0.0
    return ordered[max(0, -(-len(ordered) * percent // 100).__trunc__() - 1)]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table, its columns but the first aligned to the right."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def machine() -> dict[str, Any]:
    """Return what the figures depend on and the code does not say."""
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processors": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "postgres": find_postgres().version,
        "version": version("anomaly-cache"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def store(name: str, document: dict[str, Any], text: str) -> Path:
    """Write a result and its tables to `bench/results/<date>-<name>.json` and `.md`; return the latter's path."""
    stem = f"{datetime.now(UTC):%Y-%m-%d}-{name}"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{stem}.json").write_text(json.dumps(document, indent=2) + "\n")
    path = RESULTS / f"{stem}.md"
    path.write_text(text)
    return path
