"""The active listener's work: hear what Postgres announces, tell Redis, and vouch for it with a lease."""

import time

from coherence.changes import Change
from coherence.clock import Clock
from coherence.generation import GenerationKey
from coherence.redis_client import RedisUnavailable
from coherence.timing import Timing
from listener.events import Audited, Bumped, BumpFailed, Fenced, Heard, LeaseRenewed, LeaseWithheld, Observer
from listener.ledger import Claim, Ledger
from listener.seat import Seat, Superseded
from listener.source import Source
from listener.sweeper import Sweeper
from listener.triggers import look

RETRY_SECONDS = 0.1
"""How long after a bump that failed the next is tried."""

_REASONS = {
    "late": "it took longer than a lease to prove that no change was missed",
    "clock": "Redis' clock was set back, or is another server's",
    "server": "another Redis server answers than a moment ago",
}


class Active:
    """Serves until the session is lost, or the seat.

    It takes one step after the other: one bump is under way at a time, and what is announced meanwhile makes the next.
    `interval` is the time from one renewal to the next, in seconds.
    """

    def __init__(
        self,
        source: Source,
        seat: Seat,
        *,
        key: GenerationKey,
        ledger: Ledger,
        sweeper: Sweeper,
        timing: Timing,
        interval: float,
        observer: Observer,
        clock: Clock,
    ) -> None:
        self._source = source
        self._seat = seat
        self._key = key
        self._ledger = ledger
        self._sweeper = sweeper
        self._lease = timing.lease
        self._interval = interval
        self._observe = observer
        self._clock = clock
        self._retry_at = 0.0

    async def serve(self) -> None:
        """Serve. Raises SessionLost and StatementFailed, and Superseded where another listener serves instead."""
        began = self._clock()
        await self._source.listen()
        self._ledger.begin()
        while True:
            due = self._clock() + self._interval
            if await self._renew():
                await self._seat.confirm()
            elif not self._seat.held and self._clock() - began > self._lease:
                raise Superseded("this listener cannot give a lease either")
            await self._hear(due)

    async def _hear(self, due: float) -> None:
        """Tell Redis what comes, as it comes, until `due`; or until Redis is back, which is time for a renewal."""
        while (left := due - self._clock()) > 0:
            if self._ledger.owed:
                left = min(left, max(0.0, self._retry_at - self._clock()))
            self._heard(await self._source.changes(left))
            if self._ledger.owed and self._clock() >= self._retry_at:
                failing = self._retry_at > 0
                if await self._tell() and failing:
                    return

    async def _renew(self) -> bool:
        """Prove that no change was missed, and renew the lease if so. Returns whether there is a lease."""
        obstacle = await self._begin_proof()
        await self._prove()
        if obstacle is not None:
            self._observe(LeaseWithheld("redis", obstacle))
            return False
        if self._ledger.owed and not await self._tell():
            return False
        if self._ledger.blind is not None:
            self._observe(LeaseWithheld("triggers", self._ledger.blind))
            return False
        claim = self._ledger.claim(self._clock())
        return claim is not None and await self._ask(claim)

    async def _begin_proof(self) -> str | None:
        """Ask Redis for its time and who it is; return the reason where it does not answer."""
        try:
            t0, server = await self._key.time_us(), await self._key.server_id()
        except RedisUnavailable as error:
            return self._redis_failed(error)
        self._ledger.begin_proof(t0, server, self._clock())
        return None

    async def _prove(self) -> None:
        """Hear of everything that was committed before this call, and look at the triggers, in this order.

        The look comes last: it shows what was done to a trigger in any transaction before the fence.
        """
        started = time.perf_counter()
        changes = await self._source.fence()
        self._observe(Fenced(time.perf_counter() - started))
        if changes:
            self._observe(Heard(changes))
        self._ledger.fenced(changes)
        audit = await look(self._source.session)
        self._observe(Audited(audit))
        self._ledger.audited(audit)

    async def _ask(self, claim: Claim) -> bool:
        """Ask Redis for the lease that the proof allows; return whether it gave one."""
        try:
            renewed = await self._key.renew(
                claim.t0_us, claim.age, self._lease, claim.floor, namespaces=claim.namespaces, server=claim.server
            )
        except RedisUnavailable as error:
            self._observe(LeaseWithheld("redis", self._redis_failed(error)))
            return False
        match renewed.outcome:
            case "late" | "clock" | "server" as obstacle:
                self._observe(LeaseWithheld(obstacle, _REASONS[obstacle]))
                return False
        self._ledger.seen(renewed.generation)
        self._observe(LeaseRenewed(renewed))
        return True

    def _heard(self, changes: tuple[Change, ...]) -> None:
        if changes:
            self._observe(Heard(changes))
            self._ledger.heard(changes)

    async def _tell(self) -> bool:
        """Make one bump of all that is owed; return whether Redis took it."""
        started = time.perf_counter()
        try:
            bumped = await self._key.bump(self._ledger.floor, self._ledger.owed)
        except RedisUnavailable as error:
            self._observe(BumpFailed(str(error)))
            self._observe(LeaseWithheld("redis", self._redis_failed(error)))
            return False
        self._retry_at = 0.0
        self._ledger.told(bumped.bump)
        self._observe(Bumped(bumped.bump, time.perf_counter() - started))
        self._sweep(bumped.bump.changes, bumped.bump.generation)
        return True

    def _redis_failed(self, error: RedisUnavailable) -> str:
        """Whatever Redis has lost meanwhile: everything changed. Returns the reason."""
        self._retry_at = self._clock() + RETRY_SECONDS
        self._ledger.missed("redis")
        return str(error)

    def _sweep(self, changes: tuple[Change, ...], generation: int) -> None:
        """Have what is outdated swept; of no other namespaces than those watched, whose keys are not ours."""
        watched = self._ledger.namespaces
        if any(change.namespace is None for change in changes):
            self._sweeper.ask(watched, generation)
        else:
            # Where only rows changed, most of what Redis has is still right.
            whole = {change.namespace for change in changes if change.namespace and change.rows is None}
            self._sweeper.ask(watched & whole, generation)
