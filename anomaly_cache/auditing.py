"""An audit of what Redis holds: a process that takes part as an API process does, and reads entries again."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import structlog

from coherence import events
from coherence.audit import Outcome, Sample
from coherence.clock import monotonic
from coherence.coherence import Coherence
from coherence.entry import HEADER_MAX_LENGTH, text_of
from coherence.redis_client import RedisUnavailable, bounded
from coherence.settings import CoherenceSettings
from coherence.tasks import end
from service.database import Database, DatabaseEvent, DatabaseLost
from service.queries import NAMESPACES, QUESTIONS
from service.rereading import Rereading

CONNECTIONS = 2
KEYS_AT_ONCE = 100
PAUSE_SECONDS = 0.1
"""Between looks at so many keys: at most a thousand keys a second are met."""

ROUND_SECONDS = 1.0
"""Least time of a round through all keys."""

STATEMENT_SECONDS = 1.5


class Report:
    """What was found so far: an observer that logs violations, and whether anything can be audited."""

    def __init__(self, count: Callable[[events.Audited], None]) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.met = 0
        self.unservable = 0
        """Entries that were picked, and that no process with our knowledge would serve now."""
        self._count = count
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger("audit")
        self._valid: bool | None = None

    def __call__(self, event: events.Event) -> None:
        """Take an event."""
        match event:
            case events.Audited(finding=finding):
                self.outcomes[finding.outcome] += 1
                self._count(event)
                if finding.outcome is Outcome.VIOLATION:
                    self._log.error("audit violation", **finding.facts)
            case events.ViewPolled(valid=valid, outcome=outcome) if valid is not self._valid:
                if valid:
                    self._log.info("auditing")
                elif self._valid or outcome.value == "no lease":
                    self._log.warning("nothing to audit: there is no lease, and nothing cached is served")
                self._valid = valid
            case _:
                pass

    def database(self, event: DatabaseEvent) -> None:
        """Take an event of the database."""
        if isinstance(event, DatabaseLost):
            self._log.warning("database lost", reason=event.reason)
        else:
            self._log.info("database found")

    def sum_up(self) -> None:
        """Log the counts."""
        self._log.info(
            "audit",
            checks=self.checks,
            entries_met=self.met,
            unservable=self.unservable,
            **{outcome.value: self.outcomes[outcome] for outcome in Outcome},
        )

    @property
    def checks(self) -> int:
        """How many answers were looked at."""
        return self.outcomes.total()


class Walk:
    """Goes through the entries in Redis, round after round, and has the share `rate` of those that it meets audited."""

    def __init__(self, coherence: Coherence, rereading: Rereading, *, rate: float, report: Report) -> None:
        self._coherence = coherence
        self._rereading = rereading
        self._rate = rate
        self._report = report

    async def run(self) -> NoReturn:
        """Walk until cancelled; while Redis does not answer, or there is no lease, nothing is looked at."""
        while True:
            began = time.monotonic()
            for namespace in sorted(NAMESPACES):
                try:
                    await self._through(namespace)
                except RedisUnavailable:
                    # The view's poll reports that, and nothing is served meanwhile.
                    break
            await asyncio.sleep(max(PAUSE_SECONDS, began + ROUND_SECONDS - time.monotonic()))

    async def _through(self, namespace: str) -> None:
        redis, pattern, cursor = self._coherence.redis, self._coherence.names.entries(namespace), 0
        while self._coherence.lease_left > 0:
            async with bounded(self._coherence.redis_timeout):
                cursor, keys = await redis.scan(cursor, match=pattern, count=KEYS_AT_ONCE)
            self._report.met += len(keys)
            for key in keys:
                assert isinstance(key, bytes)  # noqa: S101 - our client decodes nothing
                if random.random() < self._rate:  # noqa: S311 - no secret
                    await self._look(namespace, key)
            if cursor == 0:
                return
            await asyncio.sleep(PAUSE_SECONDS)

    async def _look(self, namespace: str, key: bytes) -> None:
        coherence = self._coherence
        async with bounded(coherence.redis_timeout):
            front = await coherence.redis.getrange(key, 0, HEADER_MAX_LENGTH)
        text = text_of(front) if isinstance(front, bytes) else None
        query = self._rereading.query(namespace, text) if text is not None else None
        if query is None or coherence.names.entry(query.key).encode() != key:
            return
        found = await coherence.explain(query)
        if found.entry is None or not found.served or coherence.auditor is None:
            self._report.unservable += 1
            return
        await coherence.auditor.look(Sample(found.entry, "l2", monotonic(), found.generation, coherence.view.proven))


@asynccontextmanager
async def auditing(
    settings: CoherenceSettings, database_url: str, *, rate: float, report: Report
) -> AsyncIterator[asyncio.Task[None]]:
    """Audit in the background; yield the task, which ends only by failing."""
    database = Database(database_url, size=CONNECTIONS, statement_timeout=STATEMENT_SECONDS, observer=report.database)
    rereading = Rereading(QUESTIONS, database)
    coherence = Coherence(settings, l1_bytes=0, max_loads=1, reread=rereading, observer=report)
    walk = Walk(coherence, rereading, rate=rate, report=report)

    async def run(*tasks: asyncio.Task[None]) -> None:
        walking = asyncio.create_task(walk.run(), name="walk")
        try:
            ended, _ = await asyncio.wait([*tasks, walking], return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
        finally:
            await end(walking)

    async with database.running() as looking, coherence.running() as taking_part:
        task = asyncio.create_task(run(looking, taking_part), name="audit")
        try:
            yield task
        finally:
            await end(task)
