"""Search the worlds: `python -m tests.model [--most-states N] [name of a world]…`. Exits with 1 if a promise breaks."""

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor

from tests.model.explorer import Report, Search
from tests.model.worlds import WORLDS

COLUMNS = "{:<38} {:>10} {:>12} {:>6} {:>10} {:>9}  {}"


def search(name: str, most_states: int) -> tuple[Report, float]:
    """Search a world; return what was seen, and the seconds that it took."""
    started = time.perf_counter()
    report = Search(WORLDS[name]).run(most_states)
    return report, time.perf_counter() - started


def lines(names: list[str], most_states: int) -> Iterator[tuple[str, bool]]:
    """Search the worlds, as many at once as there are processors; yield what to print, and whether all is well."""
    yield COLUMNS.format("world", "states", "transitions", "depth", "serving", "seconds", ""), True
    total = Report()
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        searches = [(name, pool.submit(search, name, most_states)) for name in names]
        for name, searched in searches:
            report, seconds = searched.result()
            total.states += report.states
            total.transitions += report.transitions
            yield row(name, report, seconds), not report.broken
            if report.broken:
                yield report.broken, False
    yield f"{total.states:,} states and {total.transitions:,} transitions in all", True


def row(name: str, report: Report, seconds: float) -> str:
    """Return the line of a world."""
    seen = "to the end" if report.complete else "the nearest"
    return COLUMNS.format(
        name,
        f"{report.states:,}",
        f"{report.transitions:,}",
        report.depth,
        f"{report.serving:,}",
        f"{seconds:.0f}",
        "BROKEN" if report.broken else seen,
    )


def main() -> int:
    """Search, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.model")
    parser.add_argument("--most-states", type=int, default=400_000)
    parser.add_argument("worlds", nargs="*", choices=[[], *WORLDS], metavar="world")
    chosen = parser.parse_args()
    sound = True
    for line, well in lines(chosen.worlds or list(WORLDS), chosen.most_states):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        sound = sound and well
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
