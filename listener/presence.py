"""What this listener says of itself to those who ask Redis who is there."""

import os
import secrets
import socket
from importlib.metadata import version

from coherence.clock import Clock
from coherence.presence import Presence
from coherence.timing import Timing
from listener.status import Status


class Describe:
    """Puts together what there is to say."""

    def __init__(self, status: Status, *, timing: Timing, clock: Clock) -> None:
        self._status = status
        self._bound = timing.bound
        self._clock = clock
        self._started = clock()
        self._process = secrets.token_hex(8)
        self._host = socket.gethostname()
        self._version = version("anomaly-cache")

    def __call__(self) -> Presence:
        """Return what is true now."""
        status = self._status
        return Presence(
            process=self._process,
            kind="listener",
            host=self._host,
            pid=os.getpid(),
            version=self._version,
            up=round(self._clock() - self._started, 3),
            state=status.role,
            problem=status.problem,
            generation=status.generation,
            lease_left=round(status.lease_left, 3),
            bound=self._bound,
        )
