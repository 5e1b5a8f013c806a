"""Whether this process should get requests, and what it lacks."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from coherence.coherence import Coherence
from service.database import Database
from service.supervision import Supervision
from service.warming import Warming

MEMORY_SECONDS = 0.1
"""For how long a look at Postgres stands for the next ones: nobody needs a key to ask."""


@dataclass(frozen=True, slots=True)
class Report:
    """`status` is "ready", "degraded" (it answers, without the cache or only from it) or "unready".

    `checks` say why.
    """

    status: Literal["ready", "degraded", "unready"]
    checks: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether requests should come here."""
        return self.status != "unready"

    @property
    def code(self) -> int:
        """The HTTP status that says it."""
        return HTTPStatus.OK if self.ready else HTTPStatus.SERVICE_UNAVAILABLE


class Health:
    """Puts the report together."""

    def __init__(
        self,
        *,
        coherence: Coherence,
        database: Database,
        warming: Warming,
        supervision: Supervision,
        cache_enabled: bool,
    ) -> None:
        self._coherence = coherence
        self._database = database
        self._warming = warming
        self._supervision = supervision
        self._cache_enabled = cache_enabled
        self._looking = asyncio.Lock()
        self._looked = float("-inf")
        self._missing: str | None = None

    async def report(self) -> Report:
        """Look at everything, Postgres included."""
        missing = await self._look()
        failed = self._supervision.failed
        reachable = self._coherence.backplane.reachable
        on = self._coherence.lease_left > 0
        checks = {
            "postgres": "ok" if missing is None else f"{missing} missing",
            "redis": "ok" if reachable else "missing",
            "cache": "disabled" if not self._cache_enabled else "on" if on else "off",
            "warming": self._warming.state,
            "tasks": "ok" if failed is None else f"{failed} died",
        }
        if missing == "postgres" and self._coherence.stale.left > 0 and failed is None and self._warming.settled:
            return Report("degraded", checks)
        if missing is not None or failed is not None or not self._warming.settled:
            return Report("unready", checks)
        return Report("ready" if reachable and (on or not self._cache_enabled) else "degraded", checks)

    async def _look(self) -> str | None:
        clock = asyncio.get_running_loop().time
        async with self._looking:
            if clock() - self._looked > MEMORY_SECONDS:
                self._missing = await self._database.missing()
                self._looked = clock()
            return self._missing
