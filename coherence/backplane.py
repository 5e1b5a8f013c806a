"""Feeds a view from Redis: a subscription that is fast, and a poll that is proof."""

import asyncio
import math
import time
from collections.abc import Callable
from typing import NoReturn

from redis.asyncio import Redis

from coherence.acknowledgements import Acknowledgements
from coherence.changes import Acknowledgement, Bump, Change, MalformedMessage, merge
from coherence.clock import Clock, RedisClock
from coherence.events import Invalidated, Observer, Operated, Subscribed, ViewPolled
from coherence.generation import GenerationKey
from coherence.keys import Names
from coherence.redis_client import RedisUnavailable, bounded
from coherence.subscription import Message, Subscription
from coherence.view import Polled, View

RETRY_SECONDS = 0.1


class Backplane:
    """Keeps `view` up to date. `listen`, `poll` and `acknowledge` run until they are cancelled.

    `poll_interval` and `timeout` (of each Redis command) are in seconds. `on_answer` is called whenever Redis answers
    a poll within `timeout`.
    """

    def __init__(
        self,
        *,
        redis: Redis,
        names: Names,
        key: GenerationKey,
        view: View,
        redis_clock: RedisClock,
        acknowledgements: Acknowledgements,
        process: str,
        poll_interval: float,
        timeout: float,
        clock: Clock,
        observer: Observer,
        on_answer: Callable[[], None],
    ) -> None:
        self._redis = redis
        self._names = names
        self._changes = names.changes.encode()
        self._key = key
        self._view = view
        self._redis_clock = redis_clock
        self._acknowledgements = acknowledgements
        self._process = process
        self._poll_interval = poll_interval
        self._timeout = timeout
        self._clock = clock
        self._observe = observer
        self._on_answer = on_answer
        self._poll_now = asyncio.Event()
        self._resubscribe = asyncio.Event()
        self._acknowledge = asyncio.Event()
        self.reachable = False
        """Whether the last poll was answered."""
        self.unannounced: tuple[Change, ...] = ()
        """Changes that were committed here and could not be published: the poll does so when Redis is back."""

    # -- the subscription

    async def listen(self) -> NoReturn:
        """Subscribe, and apply what comes; do so again whenever the subscription is lost or found deaf."""
        while True:
            self._resubscribe.clear()
            subscription = Subscription(self._redis, self._names.changes, self._names.acknowledgements)
            try:
                async with asyncio.TaskGroup() as group:
                    reading = group.create_task(self._read(subscription))
                    await self._resubscribe.wait()
                    reading.cancel()
            except* RedisUnavailable as errors:
                self._observe(Operated("subscribe", 0.0, str(errors.exceptions[0])))
            finally:
                self._view.unsubscribed()
                self._poll_now.set()
                await subscription.close()
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, subscription: Subscription) -> NoReturn:
        async with bounded(self._timeout):
            await subscription.open()
            message = await subscription.next()
        while True:
            await self._take(message)
            message = await subscription.next()

    async def _take(self, message: Message) -> None:
        on_changes = message.channel == self._changes
        if message.kind == b"subscribe" and on_changes:
            self._view.subscribed()
            self._poll_now.set()
            self._observe(Subscribed())
        elif isinstance(message.data, bytes) and on_changes:
            self._receive(message.data)
        elif isinstance(message.data, bytes):
            await self._hear(message.data)

    def _receive(self, wire: bytes) -> None:
        try:
            bump = Bump.from_wire(wire)
        except MalformedMessage as error:
            self._observe(Operated("subscribe", 0.0, f"a message that cannot be read: {error}"))
            self._view.lose_track()
            self._poll_now.set()
            return
        if bump.database == self._names.database:
            self.apply(bump)
            if bump.acknowledge:
                self._acknowledge.set()

    def apply(self, bump: Bump) -> None:
        """Apply a bump that came as a message, or that this process made."""
        received = self._view.receive(bump)
        latency = None
        if self._redis_clock.offset is not None:
            latency = max(0.0, self._redis_clock.at(self._clock()) - bump.made_at)
        self._observe(Invalidated(bump, received, latency))

    async def _hear(self, wire: bytes) -> None:
        try:
            heard = Acknowledgement.from_wire(wire)
        except MalformedMessage as error:
            self._observe(Operated("subscribe", 0.0, f"an acknowledgement that cannot be read: {error}"))
        else:
            await self._acknowledgements.hear(heard.process, heard.generation)

    # -- acknowledgements

    async def acknowledge(self) -> NoReturn:
        """Say which generation this process has, whenever a bump asked for it."""
        while True:
            await self._acknowledge.wait()
            self._acknowledge.clear()
            word = Acknowledgement(self._view.generation, self._process).as_wire()
            started = time.perf_counter()
            try:
                async with bounded(self._timeout):
                    await self._redis.publish(self._names.acknowledgements, word)
            except RedisUnavailable as error:
                self._observe(Operated("publish", time.perf_counter() - started, str(error)))

    # -- the poll

    async def poll(self) -> NoReturn:
        """Ask for the generation and its lease, every `poll_interval` seconds and whenever track was lost."""
        ahead = 0
        while True:
            self._poll_now.clear()
            started = self._clock()
            try:
                outcome = await self._poll_once()
                self.reachable = True
                if self._clock() - started < self._timeout:
                    self._on_answer()
                ahead = ahead + 1 if outcome is Polled.AHEAD else 0
                if ahead > 1:
                    # Redis lost what it had told us, and no listener has mended it: raise it above what we know.
                    await self.announce([Change(None, "redis-behind", 0)])
                elif self.unannounced:
                    await self.announce([])
            except RedisUnavailable as error:
                self.reachable = False
                outcome = Polled.NO_LEASE
                self._observe(Operated("poll", self._clock() - started, str(error)))
            self._observe(ViewPolled(outcome, self._view.valid(self._clock())))
            if outcome is Polled.MISSED:
                self._resubscribe.set()
            # The next lease is a renewal away, and that can be much less than the time between two polls.
            pause = RETRY_SECONDS if outcome is Polled.FIRST_LEASE else math.inf
            await self._wait_until(started + min(pause, self._poll_interval))

    async def _poll_once(self) -> Polled:
        poll = self._view.poll(self._clock())
        # What a late answer proves, it proves from the moment of the question: waiting for it risks nothing.
        reading = await self._key.read(patience=self._poll_interval)
        received = self._clock()
        if not self._redis_clock.observe(poll.sent, received, reading.time):
            return self._view.clock_set_back(received, reading.pttl)
        leased = reading.generation is not None and reading.pttl > 0
        if not self._redis_clock.oversaw(reading.time + reading.pttl if leased else 0.0) and leased:
            return Polled.FIRST_LEASE
        return self._view.polled(poll, reading.generation, reading.pttl, reading.namespaces)

    async def _wait_until(self, due: float) -> None:
        if self._poll_now.is_set() and not self.reachable:
            await asyncio.sleep(RETRY_SECONDS)
        try:
            async with asyncio.timeout(max(0.0, due - self._clock())):
                await self._poll_now.wait()
        except TimeoutError:
            pass

    async def announce(self, changes: list[Change], *, acknowledge: bool = False) -> tuple[int, int]:
        """Publish `changes`, and what could not be published before; apply it here.

        Returns the generation and how many caches acknowledge. Where Redis fails, raises RedisUnavailable; what was
        to be announced is kept then, and the view distrusted until it has been.
        """
        owed = self.unannounced
        try:
            bumped = await self._key.bump(self._view.generation, merge([*owed, *changes]), acknowledge=acknowledge)
        except RedisUnavailable:
            self.unannounced = merge([*self.unannounced, *changes])
            self._view.distrust()
            raise
        self.apply(bumped.bump)
        # What another announcement could not tell in the meantime is still owed.
        if self.unannounced is owed:
            self.unannounced = ()
            self._view.trust()
        return bumped.bump.generation, bumped.acknowledgers
