"""`make soak MINUTES=30`: random faults for as long as asked, with every answer judged.

Three replicas, a listener and a standby, a Postgres and a Redis of their own. Faults are drawn from `faults.table`, by
`--seed`: the same seed draws the same ones, of the same lengths. Two may happen at once. After each, the newest version
of every row has to be shown everywhere, and both caches to serve, before the next.
"""

import asyncio
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import click
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from coherence.clock import monotonic
from tests.chaos.fast_readers import FastReaders
from tests.chaos.faults.table import Choice, choices, draw
from tests.chaos.oracle import Staleness
from tests.chaos.plot import Curve, plot
from tests.chaos.report import SOAK
from tests.chaos.rig import Rig, make_rig
from tests.chaos.trial import QUIET, Trial

SHORTEST, LONGEST = 0.2, 3.0
"""The least and the greatest length of a fault, in bounds."""
TWO = 0.3
"""How often there are two faults at once."""
BOTH = " + "
LOGS = "logs"
LINE_SECONDS = 30.0
"""How often there is a line of progress where there is no terminal."""
GLANCE_SECONDS = 0.5
REST = 1.0
"""Most seconds between two faults, beside what healing takes."""


class Soak:
    """Breaks a rig at random. `done` is how often which fault happened, `lengths` each in its turn, in seconds."""

    def __init__(self, rig: Rig, *, seed: int, rate: float, name: str = SOAK) -> None:
        self.done: Counter[str] = Counter()
        self.lengths: list[tuple[str, float]] = []
        self.trial = Trial(rig.fleet, name, seed=seed, make_readers=partial(FastReaders, rate=rate, seed=seed))
        self._rig = rig
        self._random = Random(seed)

    async def run(self, seconds: float) -> None:
        """Break and mend until the time is over. Raises AssertionError where the promise was broken."""
        among = choices()
        async with self.trial:
            ends = monotonic() + seconds
            while monotonic() < ends:
                await self._break(draw(self._random, among, 2 if self._random.random() < TWO else 1))
                await self.trial.lasts(self._random.uniform(0, REST))

    async def _break(self, drawn: Sequence[Choice]) -> None:
        faults = [choice.make(self._rig, self._random) for choice in drawn]
        length = self._random.uniform(SHORTEST, LONGEST) * self._rig.fleet.bound
        name = BOTH.join(sorted(choice.name for choice in drawn))
        allows = frozenset[int]().union(*(choice.allows for choice in drawn))
        self.done.update(choice.name for choice in drawn)
        self.lengths.append((name, round(length, 3)))
        async with self.trial.fault(name, allows=allows), AsyncExitStack() as broken:
            for fault in faults:
                await broken.enter_async_context(fault.broken())
            await self.trial.lasts(length)

    @property
    def worst_by_fault(self) -> dict[str, float]:
        """How outdated an answer was at worst, in seconds, by fault, or none, that there was when it was asked for."""
        worst: dict[str, float] = {}
        for phase, tally in self.trial.oracle.tallies.items():
            for kind in phase.split(BOTH):
                worst[kind] = max(worst.get(kind, 0.0), tally.staleness.worst)
        return dict(sorted(worst.items()))

    def curves(self) -> list[Curve]:
        """Return how outdated answers were: in quiet phases, and during and after faults."""
        quiet, faulty = Staleness(), Staleness()
        for phase, tally in self.trial.oracle.tallies.items():
            (quiet if phase == QUIET else faulty).merge(tally.staleness)
        return [Curve("no fault", quiet), Curve("faults", faulty)]


@contextmanager
def _directory() -> Iterator[Path]:
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
    out.mkdir(parents=True, exist_ok=True)
    begun = monotonic()
    soak, broken = asyncio.run(_soak(minutes * 60, seed, rate, out))
    minutes = min(minutes, round((monotonic() - begun) / 60, 1))
    report = soak.trial.report
    report.worst_by_phase = soak.worst_by_fault
    stored = report.store(out, minutes=minutes, seed=seed, faults=dict(soak.done.most_common()), lengths=soak.lengths)
    svg = plot("How outdated answers were", soak.curves(), report.bound)
    for path in filter(None, (out / "staleness.svg", picture)):
        path.write_text(svg)
    click.echo(f"\n{report}")
    click.echo(f"  faults: {', '.join(f'{name} {count}' for name, count in soak.done.most_common())}")
    click.echo(f"  {stored}; the same faults again: --seed {seed}")
    if broken is not None:
        click.echo(f"{broken}\nlogs are in {out / LOGS}", err=True)
        sys.exit(1)


async def _soak(seconds: float, seed: int, rate: float, out: Path) -> tuple[Soak, AssertionError | None]:
    broken = None
    with _directory() as directory:
        async with make_rig(directory) as rig:
            soak = Soak(rig, seed=seed, rate=rate)
            watching = asyncio.create_task(watch(soak, seconds))
            try:
                await soak.run(seconds)
            except AssertionError as error:
                broken = error
            except asyncio.CancelledError:
                # Ctrl-C: what there is by now is reported.
                task = asyncio.current_task()
                assert task is not None
                task.uncancel()
            finally:
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)
        if broken is not None:
            shutil.copytree(directory, out / LOGS, ignore=_no_log, dirs_exist_ok=True)
    return soak, broken


def _no_log(directory: str, names: list[str]) -> list[str]:
    """Return which of a directory's files and folders are not to be kept."""
    del directory
    return [name for name in names if not name.endswith(".log")]


async def watch(soak: Soak, seconds: float) -> None:
    """Show how far it has come: a bar on a terminal, a line now and then elsewhere. Ends by being cancelled."""
    columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns) as progress:
        task = progress.add_task("starting", total=seconds)
        begun = told = monotonic()
        while True:
            await asyncio.sleep(GLANCE_SECONDS)
            if soak.trial.begun:
                tallies = soak.trial.oracle.tallies.values()
                reads, violations = sum(each.reads for each in tallies), sum(each.violations for each in tallies)
                worst = max((each.staleness.worst for each in tallies), default=0.0)
                said = f"{violations} of {reads:,}, worst {worst:.2f} s: {soak.trial.phase}"
                now = monotonic()
                progress.update(task, completed=now - begun, description=said)
                if not progress.console.is_terminal and now - told >= LINE_SECONDS:
                    told = now
                    click.echo(f"{now - begun:6.0f} of {seconds:.0f} s  {said}")


if __name__ == "__main__":
    main()
