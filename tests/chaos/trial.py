"""One run of a scenario: a writer, readers of every replica, named phases, and the verdict at the end.

    async with Trial(fleet, "scenario") as trial:          # begins with a quiet phase
        async with trial.fault("redis killed", allows={503}):
            fleet.own_redis.kill()
            await trial.lasts(2.0)                         # or: await trial.answers(20)
            fleet.own_redis.start()                        # leave the block with the fault mended
    print(trial.report)

A *quiet* phase lasts until every replica has answered from L1, and some replica from L2, with a few commits meanwhile:
so a cache that is always off passes nothing. On leaving a fault, writing stops for the bound, and then until every
replica has answered every target with its newest version; an answer asked for later than the bound after the last
commit that is old is a violation as ever. Another quiet phase follows. A trial may have several faults, one after the
other. It fails on any violation, on a status other than 200 that the fault did not call for, and where a phase does
not come to its end in half a minute.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from random import Random
from typing import Self, TypeVar

from coherence.clock import monotonic
from coherence.tasks import end
from tests.chaos.fleet import PATIENCE_SECONDS, Fleet
from tests.chaos.oracle import Oracle, Read, Target
from tests.chaos.readers import Asked, Failure, Readers
from tests.chaos.report import Report
from tests.chaos.writer import TARGETS, Writer, fill

PACE_SECONDS = 0.01
QUIET = "quiet"
HEALING = "healing"
T = TypeVar("T")

UNPROVEN = ("l1-", "l2-")
"""How the layer begins of an answer that is marked as unproven."""
POLICY = "CACHE_ON_LEASE_LOSS"
LEAST_COMMITS = 5
"""In a quiet phase."""

MakeReaders = Callable[[Sequence[Target], Random, float, Asked], Readers]
Run = Callable[..., "Trial"]
"""The fixture `run`: `run(fleet, seed=1)` is a trial of the test's scenario."""


class Trial:
    """See the module. `oracle` has what was found so far; the same `seed` makes the same choices."""

    def __init__(
        self,
        fleet: Fleet,
        name: str,
        *,
        seed: int = 1,
        pace: float = PACE_SECONDS,
        make_readers: MakeReaders = Readers,
        recorded: Callable[[Report], None] = lambda _: None,
    ) -> None:
        self.fleet = fleet
        self.name = name
        self._phases: list[tuple[float, str]] = [(0.0, QUIET)]
        """Since when there has been which."""
        self.report = Report(name, fleet.mode, fleet.bound)
        self.oracle: Oracle
        self.writer: Writer
        self._random = Random(seed)
        self._recorded = recorded
        self._readers = make_readers(TARGETS, self._random, pace, self._answered)
        self._writing: asyncio.Task[None]
        self._allowances: list[tuple[float, frozenset[int]]] = [(0.0, frozenset())]
        """Which statuses other than 200 have been allowed since when."""
        self._unexpected: list[Failure] = []
        self._unproven: list[Read] = []
        self._replicas = 0
        self._answers: dict[int, int] = {}
        self._hits: set[tuple[int, str]] = set()
        self._fresh: set[tuple[int, Target]] = set()
        self._kept: set[tuple[int, Target]] = set()
        self._last_outdated = 0.0

    async def __aenter__(self) -> Self:
        self.oracle = Oracle(self.fleet.bound, await fill(self.fleet.database_url))
        self.writer = Writer(self.fleet.database_url, self.oracle, self._random)
        self._writing = asyncio.create_task(self.writer.run(), name="writer")
        for node in self.fleet.apis:
            self._read_from(node.program.port)
        self._readers.go_around()
        try:
            await self.quiet()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await self._end()
        if kind is None:
            self.check()

    @property
    def begun(self) -> bool:
        """Whether there is an oracle to be asked."""
        return hasattr(self, "oracle")

    # -- phases

    @property
    def phase(self) -> str:
        """What is going on."""
        return self._phases[-1][1]

    @phase.setter
    def phase(self, name: str) -> None:
        self._phases.append((monotonic(), name))

    async def quiet(self) -> None:
        """Nothing is broken: wait until every replica has answered from L1, and some replica from L2."""
        self.phase = QUIET
        self._hits.clear()
        enough = self.oracle.committed + LEAST_COMMITS

        def hits() -> bool:
            own = sum(layer == "l1" for _, layer in self._hits)
            both = own == self._replicas and any(layer == "l2" for _, layer in self._hits)
            return both and self.oracle.committed >= enough

        await self._until(hits, "in a quiet phase not every replica had hits, of both layers")

    @asynccontextmanager
    async def fault(self, name: str, *, allows: Collection[int] = ()) -> AsyncIterator[None]:
        """Something is broken, and mended by the end of the block; then `heal`.

        `allows` are the statuses other than 200 that it calls for; NO_ANSWER for connections that break.
        """
        self._allow(allows)
        self.phase = name
        yield
        await self.heal()
        self._allow(())
        await self.quiet()

    async def heal(self) -> None:
        """All is mended: the newest version of every row comes to be shown everywhere."""
        self.phase = HEALING
        mended = self._last_outdated = monotonic()
        await self.writer.pause()
        await self.lasts(self.fleet.bound)
        await self.shown()
        self.report.converged_after.append(self._last_outdated - mended)
        self.writer.resume()

    async def shown(self) -> None:
        """Wait until every replica has shown the newest version of every row, while nothing is written."""
        self._fresh.clear()
        everywhere = self._replicas * len(TARGETS)
        await self._until(lambda: len(self._fresh) == everywhere, "not every replica shows the newest versions")

    async def cached(self) -> None:
        """Wait until every replica has answered whatever is asked from its L1, while nothing is written."""
        self._kept.clear()
        there = [target for target in TARGETS if any(self.oracle.newest(key) > 0 for key in target.keys)]
        wanted = {(replica, target) for replica in range(self._replicas) for target in there}
        await self._until(lambda: self._kept >= wanted, "not everything is answered from the replicas' own caches")

    async def lasts(self, seconds: float) -> None:
        """Let the phase last; fails at once where the writer or a reader has ended, or the promise was broken."""
        tasks = [self._writing, *self._readers.tasks]
        ended, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in ended:
            task.result()
        self.check()

    async def answers(self, count: int, *, replicas: Collection[int] | None = None) -> None:
        """Wait until each replica (or each of `replicas`) has answered so many reads more with a 200."""
        which = range(self._replicas) if replicas is None else replicas
        wanted = {replica: self._answers.get(replica, 0) + count for replica in which}
        await self._until(
            lambda: all(self._answers.get(replica, 0) >= least for replica, least in wanted.items()),
            f"not every one of the replicas {list(which)} answers",
        )

    async def add_api(self, **settings: str) -> None:
        """Start one more replica, and ask it from now on."""
        node = await self.fleet.add_api(**settings)
        self._read_from(node.program.port)

    def ask(self, replica: int, target: Target) -> None:
        """Ask a replica once more, beside its usual readers; the answer may take its time."""
        self._readers.ask_once(replica, self.fleet.apis[replica].program.port, target)

    # -- verdict

    def check(self) -> None:
        """Fail if the promise has been broken by now."""
        violations = "\n".join(map(str, self.oracle.violations))
        assert not violations, f"{self.name}: {self.oracle.total.violations} violations\n{violations}"
        assert not self._unproven or POLICY in self.fleet.more, f"{self.name}: without proof: {self._unproven[0]}"
        assert not self._unexpected, f"{self.name}: {len(self._unexpected)} not answered, as {self._unexpected[0]}"

    # -- the inner workings

    def _read_from(self, port: int) -> None:
        self._readers.read(self._replicas, port)
        self._replicas += 1

    def _answered(self, answer: Read | Failure) -> None:
        if isinstance(answer, Failure):
            self.report.failed(answer.status)
            if not any(answer.status in allowed for allowed in _since(self._allowances, answer.started)):
                self._unexpected.append(answer)
            return
        outdated = self.oracle.judge(answer, _since(self._phases, answer.started)[0])
        self._answers[answer.replica] = self._answers.get(answer.replica, 0) + 1
        if answer.layer.startswith(UNPROVEN):
            self._unproven.append(answer)
        if answer.started >= self._phases[-1][0]:
            self._hits.add((answer.replica, answer.layer))
        if answer.layer == "l1":
            self._kept.add((answer.replica, answer.target))
        if outdated > 0:
            self._last_outdated = max(self._last_outdated, answer.started)
        elif self.oracle.shows_newest(answer):
            self._fresh.add((answer.replica, answer.target))

    def _allow(self, statuses: Collection[int]) -> None:
        self._allowances.append((monotonic(), frozenset(statuses)))

    async def _until(self, look: Callable[[], bool], otherwise: str) -> None:
        def done() -> bool:
            self.check()
            return look()

        deadline = monotonic() + PATIENCE_SECONDS
        while not done():
            assert monotonic() < deadline, f"{self.name}: {otherwise} ({self.phase}): {sorted(self._hits)}"
            await self.lasts(0.02)

    async def _end(self) -> None:
        await end(self._writing, *self._readers.tasks, *self._readers.passing)
        self.report.take(self.oracle)
        self._recorded(self.report)


def _since(times: Sequence[tuple[float, T]], at: float) -> list[T]:
    """Return what held at a time, and what has held since; `times` say since when which did."""
    place = next(place for place in range(len(times) - 1, -1, -1) if times[place][0] <= at)
    return [what for _, what in times[place:]]
