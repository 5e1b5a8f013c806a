"""What this process says of itself to those who ask Redis who is there."""

import os
import socket
from collections import deque
from collections.abc import Callable
from importlib.metadata import version

from coherence.clock import Clock
from coherence.coherence import Coherence
from coherence.events import Invalidated
from coherence.presence import MOST_APPLIED, Applied, Presence, Traffic
from coherence.view import Received


class LatestApplied:
    """Remembers the generations that were applied last, and how long each took to get here."""

    def __init__(self) -> None:
        self._latest: deque[Applied] = deque(maxlen=MOST_APPLIED)

    def note(self, event: Invalidated) -> None:
        """Take an invalidation."""
        if event.received is not Received.OLD and event.latency is not None:
            milliseconds = round(event.latency * 1000, 3)
            self._latest.append(Applied(generation=event.bump.generation, milliseconds=milliseconds))

    def all(self) -> tuple[Applied, ...]:
        """Return them, the newest last."""
        return tuple(self._latest)


class Describe:
    """Puts together what there is to say. `traffic` returns it as counted so far."""

    def __init__(
        self, *, coherence: Coherence, applied: LatestApplied, traffic: Callable[[], Traffic], clock: Clock
    ) -> None:
        self._coherence = coherence
        self._applied = applied
        self._traffic = traffic
        self._clock = clock
        self._started = clock()
        self._host = socket.gethostname()
        self._version = version("anomaly-cache")

    def __call__(self) -> Presence:
        """Return what is true now."""
        coherence = self._coherence
        lease_left = coherence.lease_left
        return Presence(
            process=coherence.process,
            kind="api",
            host=self._host,
            pid=os.getpid(),
            version=self._version,
            up=round(self._clock() - self._started, 3),
            state="serving" if lease_left > 0 else "bypassing",
            problem=None if lease_left > 0 else "no lease: answers come from Postgres",
            generation=coherence.view.generation,
            lease_left=round(lease_left, 3),
            bound=coherence.timing.bound,
            traffic=self._traffic(),
            applied=self._applied.all(),
        )
