"""A cache on the real way of a change: trigger, notification, listener's books, Redis, message, view, L1 and L2."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from random import Random

import psycopg
from redis.asyncio import Redis

from coherence.answer import Answer
from coherence.cache import Cache
from coherence.changes import Change
from coherence.clock import RedisClock
from coherence.coder import Coder
from coherence.coding import ZSTD
from coherence.gate import Gate
from coherence.generation import GenerationKey
from coherence.history import History
from coherence.keys import Names
from coherence.l1 import L1
from coherence.l2 import L2
from coherence.loading import Content
from coherence.redis_client import connect, database_of
from coherence.rows import RowChange
from coherence.settings import CoherenceSettings
from coherence.view import View
from service.connection import raw_adapters
from service.database import _SESSION
from service.problems import Problem
from service.queries import ANOMALY, SET_STATUS
from tests.support.clocks import HandClock
from tests.support.hearing import listening
from tests.support.row_delivery import Delivery
from tests.support.row_questions import Asked, fresh
from tests.support.row_tally import Outdated, Tally

LEASE = 3600.0
PATIENCE = 10.0


class _Late:
    """What a load that is held up has read."""

    def __init__(self, content: Content, release: asyncio.Event) -> None:
        self._content = content
        self._release = release
        self.begun = asyncio.Event()

    async def wait(self) -> Content:
        """Return it in the end."""
        self.begun.set()
        await self._release.wait()
        return self._content


class RowWorld:
    """One process' cache of the answers to `questions`; its clock stands still."""

    def __init__(
        self,
        questions: Sequence[Asked],
        random: Random,
        *,
        delivery: Delivery,
        view: View,
        reader: psycopg.AsyncConnection,
        redis: Redis,
        names: Names,
        l1_bytes: int,
    ) -> None:
        self.questions = list(questions)
        self.tally = Tally()
        self._random = random
        self._delivery = delivery
        self._reader = reader
        self._redis = redis
        self._names = names
        self._clock = HandClock()
        self._redis_clock = RedisClock()
        self._l1 = L1(l1_bytes)
        self._l2 = L2(redis, names, lambda _: None, PATIENCE, Coder((ZSTD,), self._l1, lambda _: None))
        self._cache = Cache(
            view=view,
            redis_clock=self._redis_clock,
            l1=self._l1,
            l2=self._l2,
            gate=Gate(100, PATIENCE),
            clock=self._clock,
            observer=lambda _: None,
        )
        self._known: dict[str, bytes] = {}
        """The bodies of the answers that were given last."""
        self._overlapped: set[str] = set()
        """The keys of answers that were loaded while a change was on its way."""
        self._held: set[str] = set()
        """The keys of answers whose loads are held up."""

    async def begin(self) -> None:
        """Begin to trust the cache, with nothing in it."""
        await self._delivery.begin(self._clock, self._redis_clock)

    async def hear(self) -> None:
        """Let everything that is committed arrive at the cache, as one bump."""
        await self._delivery.hear()

    async def set_status(self, transaction_id: str, status: str) -> None:
        """Do as the API does at a PUT: commit, and bump without waiting for the trigger's notification."""
        cursor = await self._reader.execute(
            SET_STATUS.encode(), {"transaction_id": transaction_id, "status": status, "version": None}
        )
        row = await cursor.fetchone()
        if row is not None:
            await self._delivery.bump([Change(ANOMALY.namespace, "put", rows=(RowChange(row[1], row[2]),))])

    async def overlap(self, number: int) -> None:
        """Have some answers loaded anew, under a stamp from before what is committed and has not arrived yet."""
        questions = await self._forget(number)
        for each, content in zip(questions, await fresh(self._reader, questions), strict=True):
            await self._ask(each, content)

    @asynccontextmanager
    async def held_up(self, number: int) -> AsyncIterator[None]:
        """Have some answers read before what happens in the block, and come in after it; ask half again meanwhile.

        Raises Outdated if the second request, which came after the change, gets what was read before it.
        """
        questions = await self._forget(number)
        release = asyncio.Event()
        before = [
            _Late(content, release) if isinstance(content, Content) else content
            for content in await fresh(self._reader, questions)
        ]
        first = [asyncio.create_task(self._ask(each, late)) for each, late in zip(questions, before, strict=True)]
        for late in before:
            if isinstance(late, _Late):
                await late.begun.wait()
        self._held = {each.query.key for each in questions}
        yield
        again = questions[::2]
        now = await fresh(self._reader, again)
        second = [asyncio.create_task(self._ask(each, content)) for each, content in zip(again, now, strict=True)]
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(*first)
        for each, task, content in zip(again, second, now, strict=True):
            self._compare(each, await task, content, ["a request that joined a load, perhaps"])
        self._held = set()

    async def _forget(self, number: int) -> list[Asked]:
        """Take some answers that are not under way out of the caches."""
        questions = [each for each in self._random.sample(self.questions, number) if each.query.key not in self._held]
        for each in questions:
            self._l1._kept.pop(each.query.key, None)
            self._known.pop(each.query.key, None)
            self._overlapped.add(each.query.key)
        await self._redis.unlink(*(self._names.entry(each.query.key) for each in questions), "")
        return questions

    async def check(self, log: Sequence[str] = ()) -> None:
        """Ask everything, and hold each answer against the database's. Raises Outdated."""
        self._random.shuffle(self.questions)
        for each, content in zip(self.questions, await fresh(self._reader, self.questions), strict=True):
            known = self._known.get(each.query.key)
            answer = await self._ask(each, content)
            if known is not None:
                self._count(known, answer, by_rows=each.query.key not in self._overlapped)
            self._compare(each, answer, content, log)
        self._delivery.single_rows = True
        self._overlapped.clear()

    async def _ask(self, each: Asked, content: "Content | Problem | _Late") -> Answer | None:
        async def load() -> Content:
            if isinstance(content, Problem):
                raise content
            return await content.wait() if isinstance(content, _Late) else content

        key = each.query.key
        try:
            answer = await self._cache.get_or_load(each.query, load, ttl=LEASE)
        except Problem:
            self._known.pop(key, None)
            return None
        self._known[key] = answer.body
        return answer

    def _count(self, known: bytes, answer: Answer | None, *, by_rows: bool) -> None:
        self.tally.pairs += 1
        if answer is not None and answer.layer != "db":
            self.tally.served[answer.layer] += 1
        elif by_rows and self._delivery.single_rows and (answer is None or answer.forward == "stale"):
            self.tally.dropped += 1
            self.tally.dropped_rightly += answer is None or answer.body != known
        else:
            self.tally.wholesale += 1

    def _compare(self, each: Asked, answer: Answer | None, content: Content | Problem, log: Sequence[str]) -> None:
        body = None if answer is None else answer.body
        now = content.body if isinstance(content, Content) else None
        if body != now:
            kept = self._l1.get(each.query.key)
            state = None if kept is None else (kept.entry.page, kept.entry.stamp, kept.judged)
            what = f"{each.question.path} {each.query.text} from {answer and answer.layer}, {state}"
            lines = [what, f"given    {body!r}", f"database {now!r}", *log]
            raise Outdated("\n".join(lines), self.tally.pairs)

    async def close(self) -> None:
        """Wait for what is under way."""
        await self._cache.close()
        await self._l2.close()


@asynccontextmanager
async def row_world(
    database_url: str,
    redis_url: str,
    prefix: str,
    questions: Sequence[Asked],
    random: Random,
    *,
    kept_changes: int = 4096,
    l1_bytes: int = 64_000_000,
) -> AsyncIterator[RowWorld]:
    """Make a world that begins with what is in the database."""
    async with (
        listening(database_url) as ears,
        await psycopg.AsyncConnection.connect(
            database_url, autocommit=True, context=raw_adapters(), prepare_threshold=0
        ) as reader,
        connect(CoherenceSettings.model_validate({"redis_url": redis_url}), connections=5) as redis,
        redis.pubsub() as messages,
    ):
        await reader.execute(_SESSION, {"statement_timeout": "60000"})
        view = View(LEASE, history=History(kept_changes))
        names = Names(prefix, database_of(redis))
        await messages.subscribe(names.changes)
        await messages.get_message(timeout=5.0)
        world = RowWorld(
            questions,
            random,
            delivery=Delivery(view, ears=ears, key=GenerationKey(redis, names, PATIENCE), messages=messages),
            view=view,
            reader=reader,
            redis=redis,
            names=names,
            l1_bytes=l1_bytes,
        )
        await world.begin()
        try:
            yield world
        finally:
            await world.close()
