"""The way of a change to a cache, all of it real: notification, listener's books, Redis, message, view."""

from collections.abc import Sequence

from redis.asyncio.client import PubSub

from coherence.changes import Bump, Change
from coherence.clock import Clock, RedisClock
from coherence.generation import GenerationKey
from coherence.view import Polled, Received, View
from listener.ledger import Ledger
from listener.payload import parse
from service.queries import NAMESPACES
from tests.support.hearing import Ears


class Delivery:
    """Brings what `ears` hear to `view`, when it is told to."""

    def __init__(self, view: View, *, ears: Ears, key: GenerationKey, messages: PubSub) -> None:
        self._view = view
        self._ears = ears
        self._key = key
        self._messages = messages
        self._ledger = Ledger()
        self.single_rows = True
        """Whether all that was brought is single rows, none of which is forgotten."""

    async def begin(self, clock: Clock, redis_clock: RedisClock) -> None:
        """Give the view a lease that outlasts every test."""
        now_us = await self._key.time_us()
        redis_clock.observe(clock(), clock(), now_us / 1e6)
        self._view.subscribed()
        renewed = await self._key.renew(now_us, 0.0, self._view.lease, 0, namespaces=NAMESPACES)
        polled = self._view.polled(self._view.poll(clock()), renewed.generation, renewed.ttl)
        assert (polled, self._view.receive(await self._message())) == (Polled.ADOPTED, Received.OLD)
        self._ledger.seen(renewed.generation)
        await self._ears.payloads()

    async def hear(self) -> None:
        """Bring everything that was committed, as one bump."""
        self._ledger.heard(change for change in map(parse, await self._ears.payloads()) if isinstance(change, Change))
        if self._ledger.owed:
            await self.bump(self._ledger.owed)

    async def bump(self, changes: Sequence[Change]) -> None:
        """Bring `changes`."""
        forgotten = self._view.history.forgotten
        bumped = await self._key.bump(self._ledger.floor, changes)
        self._ledger.told(bumped.bump)
        assert self._view.receive(await self._message()) is Received.APPLIED
        self.single_rows &= all(change.rows is not None for change in changes)
        self.single_rows &= forgotten == self._view.history.forgotten

    async def _message(self) -> Bump:
        message = await self._messages.get_message(ignore_subscribe_messages=True, timeout=5.0)
        assert message is not None
        return Bump.from_wire(message["data"])
