"""What the console shows once a second: this process, and all processes as they say they are."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from coherence.coherence import Coherence
from coherence.presence import Presence, present
from coherence.redis_client import RedisUnavailable
from service.console.hottest import Hottest
from service.health import Health

MOST_SHOWN = 64
"""Processes; of more, the first."""


class State:
    """Puts it together. `describe` returns what this process says of itself."""

    def __init__(
        self, *, coherence: Coherence, health: Health, describe: Callable[[], Presence], hottest: Hottest
    ) -> None:
        self._coherence = coherence
        self._health = health
        self._describe = describe
        self._hottest = hottest

    async def __call__(self) -> Mapping[str, Any]:
        """Return it, JSON-ready. Where Redis does not say who is there, it is this process alone."""
        coherence = self._coherence
        report = await self._health.report()
        found = await self._found()
        processes = [self._describe()] if found is None else found
        return {
            "time": time.time(),
            "process": coherence.process,
            "status": report.status,
            "checks": report.checks,
            "generation": coherence.view.generation,
            "lease_left": round(coherence.lease_left, 3),
            "staleness_bound": round(coherence.staleness_bound, 3),
            "max_staleness": coherence.timing.bound,
            "all_known": found is not None,
            "left_out": max(0, len(processes) - MOST_SHOWN),
            "processes": [presence.model_dump(mode="json") for presence in processes[:MOST_SHOWN]],
            "hottest": self._hottest.look(),
        }

    async def _found(self) -> list[Presence] | None:
        coherence = self._coherence
        try:
            return await present(coherence.redis, coherence.names, coherence.redis_timeout)
        except RedisUnavailable:
            return None
