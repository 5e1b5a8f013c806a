"""`make soak MINUTES=30`: random faults for as long as asked, with every answer judged.

Three replicas, a listener and a standby, a Postgres and a Redis of their own. Faults are drawn from `faults.table`, by
`--seed`: the same seed draws the same ones, of the same lengths. Two may happen at once. After each, the newest version
of every row has to be shown everywhere, and both caches to serve, before the next.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from coherence.clock import monotonic
from tests.chaos.fast_readers import FastReaders
from tests.chaos.faults.table import choices, draw
from tests.chaos.fleet import Fleet, Shipyard
from tests.chaos.oracle import Staleness
from tests.chaos.plot import Curve, plot
from tests.chaos.report import SOAK
from tests.chaos.trial import QUIET, Trial
from tests.support.own_servers import ServerRoom
from tests.support.processes import Programs

SHORTEST = 0.2
"""Least length of a fault, in bounds."""
TWO = 0.3
"""How often there are two faults at once."""
REST = 1.0
"""Most seconds between two faults, beside what healing takes."""


class Soak:
    """Breaks a fleet at random. `done` is how often which fault happened."""

    def __init__(self, fleet: Fleet, *, seed: int, rate: float, name: str = SOAK) -> None:
        self.fleet = fleet
        self.done: Counter[str] = Counter()
        self.trial = Trial(fleet, name, seed=seed, make_readers=partial(FastReaders, rate=rate, seed=seed))
        self._random = Random(seed)

    async def run(self, seconds: float) -> None:
        """Break and mend until the time is over. Raises AssertionError where the promise was broken."""
        among = choices()
        async with self.trial as trial:
            ends = monotonic() + seconds
            while monotonic() < ends:
                drawn = draw(self._random, among, 2 if self._random.random() < TWO else 1)
                faults = [choice.make(self.fleet, self._random) for choice in drawn]
                length = self._random.uniform(SHORTEST, min(choice.longest for choice in drawn)) * self.fleet.bound
                name = " + ".join(sorted(choice.name for choice in drawn))
                self.done.update(choice.name for choice in drawn)
                allows = frozenset[int]().union(*(choice.allows for choice in drawn))
                async with trial.fault(name, allows=allows), AsyncExitStack() as broken:
                    for fault in faults:
                        await broken.enter_async_context(fault.broken())
                    await trial.lasts(length)
                await trial.lasts(self._random.uniform(0, REST))

    def document(self, seed: int) -> dict[str, object]:
        """Return what was found, JSON-ready."""
        worst: dict[str, float] = {}
        for phase, seconds in self.trial.report.worst_by_phase.items():
            for kind in phase.split(" + "):
                worst[kind] = max(worst.get(kind, 0.0), seconds)
        return {
            **asdict(self.trial.report),
            "seed": seed,
            "faults": dict(self.done.most_common()),
            "worst_by_fault": worst,
        }

    def curves(self) -> list[Curve]:
        """Return how outdated answers were: in quiet phases, and during and after faults."""
        quiet, faulty = Staleness(), Staleness()
        for phase, tally in self.trial.oracle.tallies.items():
            (quiet if phase == QUIET else faulty).merge(tally.staleness)
        return [Curve("no fault", quiet), Curve("faults", faulty)]


@asynccontextmanager
async def fleet_of_its_own() -> AsyncIterator[Fleet]:
    """Start three replicas, two listeners and the servers; end them."""
    with open_directory() as directory:
        room = ServerRoom(directory)
        programs = Programs(directory)
        try:
            async with AsyncExitStack() as stack:
                launch = Shipyard(programs, room, stack, database_url="", redis_url="", prefix="").launch
                yield await launch(replicas=3, standbys=1, own_postgres=True, own_redis=True)
                await programs.close()
        finally:
            room.close()


@contextmanager
def open_directory() -> Iterator[Path]:
    """Make a directory that the account of Postgres can enter; remove it."""
    with TemporaryDirectory(prefix="anomaly-cache-soak-") as name:
        directory = Path(name)
        directory.chmod(0o711)
        yield directory


@click.command(help=__doc__)
@click.option("--minutes", default=2.0, show_default=True, help="How long.")
@click.option("--seed", default=1, show_default=True, help="What to draw by.")
@click.option("--rate", default=3000.0, show_default=True, help="Reads a second to be tried, all replicas together.")
@click.option("--out", default=".chaos", show_default=True, type=click.Path(path_type=Path), help="For the report.")
@click.option("--plot", "picture", type=click.Path(path_type=Path), help="Where to put the plot, beside the report.")
def main(minutes: float, seed: int, rate: float, out: Path, picture: Path | None) -> None:
    """Soak."""
    soak, broken = asyncio.run(_soak(minutes * 60, seed, rate))
    out.mkdir(parents=True, exist_ok=True)
    document = soak.document(seed)
    (out / f"{SOAK}.{soak.fleet.mode}.json").write_text(json.dumps(document, indent=2) + "\n")
    svg = plot("How outdated answers were", soak.curves(), soak.fleet.bound)
    for path in filter(None, (out / "staleness.svg", picture)):
        path.write_text(svg)
    click.echo(f"\n{soak.trial.report}")
    click.echo(f"  faults: {', '.join(f'{name} {count}' for name, count in soak.done.most_common())}; seed {seed}")
    if broken is not None:
        click.echo(str(broken), err=True)
        sys.exit(1)


async def _soak(seconds: float, seed: int, rate: float) -> tuple[Soak, AssertionError | None]:
    broken = None
    async with fleet_of_its_own() as fleet:
        soak = Soak(fleet, seed=seed, rate=rate)
        watching = asyncio.create_task(_watch(soak, seconds))
        try:
            await soak.run(seconds)
        except AssertionError as error:
            broken = error
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
    return soak, broken


async def _watch(soak: Soak, seconds: float) -> None:
    """Show how far it has come."""
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("starting", total=seconds)
        begun = monotonic()
        while True:
            await asyncio.sleep(0.5)
            if soak.trial.begun:
                total = soak.trial.oracle.total
                said = f"{total.violations} of {total.reads:,}, worst {total.staleness.worst:.2f} s: {soak.trial.phase}"
                progress.update(task, completed=monotonic() - begun, description=said)


if __name__ == "__main__":
    main()
