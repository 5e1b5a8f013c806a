"""The wait for one's turn: until the lock comes free, or its holder has shown that it cannot give a lease."""

import asyncio

from coherence.clock import Clock
from coherence.generation import GenerationKey
from coherence.redis_client import RedisUnavailable
from listener.events import Audited, LeaseWithheld, Observer, Ready, RoleTaken
from listener.patience import Patience
from listener.seat import Seat
from listener.triggers import look


class Standby:
    """A listener that waits for its turn. It asks every `tick` seconds; `patience` is as in Patience, in seconds."""

    def __init__(
        self, seat: Seat, key: GenerationKey, *, tick: float, patience: float, observer: Observer, clock: Clock
    ) -> None:
        self._seat = seat
        self._key = key
        self._tick = tick
        self._patience = Patience(patience)
        self._observe = observer
        self._clock = clock

    async def turn(self) -> str:
        """Return when this listener should serve, and say why. Raises SessionLost and StatementFailed."""
        if await self._seat.take():
            return "no other listener is active"
        self._observe(RoleTaken("standby", "another listener is active"))
        while True:
            await asyncio.sleep(self._tick)
            if await self._seat.take():
                return "the active listener is gone"
            holder = await self._idle_holder()
            if self._patience.ends(self._clock(), holder) and holder is not None:
                self._seat.usurp(holder)
                return "the active listener gives no lease"

    async def _idle_holder(self) -> int | None:
        """Return the session that holds the lock and gives no lease, as far as this listener could give one."""
        audit = await look(self._seat.lock.session)
        self._observe(Audited(audit))
        try:
            reading = await self._key.read()
        except RedisUnavailable as error:
            self._observe(LeaseWithheld("redis", str(error)))
            return None
        if audit.problem is not None:
            self._observe(LeaseWithheld("triggers", audit.problem))
            return None
        self._observe(Ready())
        leased = reading.generation is not None and reading.pttl > 0
        return None if leased else await self._seat.lock.holder()
