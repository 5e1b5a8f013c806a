"""The processes of a scenario: replicas and listeners, each with links of its own to Postgres and to Redis.

    fleet = await make_fleet(replicas=3, standbys=1, own_redis=True, own_postgres=True)
    fleet.apis[0].redis.stall()              # this replica's link to Redis alone; see tests.support.proxy
    fleet.ears[0].postgres.reset()           # the active listener's link to Postgres; ears[1:] stand by
    fleet.apis[1].program.pause()            # see tests.support.processes
    fleet.own_redis.kill(); fleet.own_redis.start()      # see tests.support.own_servers; its URL stays the same

Everything that `System` can do works too: `fleet.get(replica, path)`, `fleet.sql(…)`, `fleet.redis` (a client that
goes past the proxies), `fleet.cached(path)`. The invalidation is what TEST_CACHE_INVALIDATION says, rows by default.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Self

import psycopg

from anomaly_cache.migrate import migrate
from tests.acceptance.system import System, sample
from tests.support.own_servers import OwnPostgres, OwnValkey, ServerRoom
from tests.support.processes import Program, Programs
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

PATIENCE_SECONDS = 30.0
"""For whatever comes to pass, on however busy a machine."""
BOUND = 1.0
"""CACHE_MAX_STALENESS_SECONDS of the scenarios: short, so that they are."""


@dataclass
class Node:
    """A process and its links."""

    program: Program
    postgres: Proxy
    redis: Proxy


@dataclass
class Fleet(System):
    """A system whose links can be broken one by one; see the module. `async with` runs its proxies and clients."""

    bound: float = BOUND
    apis: list[Node] = field(default_factory=list)
    ears: list[Node] = field(default_factory=list)
    postgres_server: OwnPostgres | None = None
    redis_server: OwnValkey | None = None

    async def __aenter__(self) -> Self:
        self.links = AsyncExitStack()
        return await super().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        await super().__aexit__()
        await self.links.aclose()

    @property
    def own_postgres(self) -> OwnPostgres:
        """The Postgres that this fleet may break."""
        assert self.postgres_server is not None, "made without own_postgres"
        return self.postgres_server

    @property
    def own_redis(self) -> OwnValkey:
        """The Redis that this fleet may break."""
        assert self.redis_server is not None, "made without own_redis"
        return self.redis_server

    @property
    def mode(self) -> str:
        """How changes invalidate: rows, or namespace."""
        return self.settings()["CACHE_INVALIDATION"]

    def settings(self, **more: str) -> dict[str, str]:
        """Return the environment of a program of this fleet."""
        ours = {"CACHE_MAX_STALENESS_SECONDS": f"{self.bound:g}", "WARM_QUERIES": "none"}
        return super().settings(**{**ours, **more})

    async def add_api(self, **settings: str) -> Node:
        """Start one more replica, and wait until it is ready."""
        postgres, redis = await self._link(self.database_url), await self._link(self.redis_url)
        program = await self.start_replica(**{"DATABASE_URL": postgres.url, "REDIS_URL": redis.url, **settings})
        self.apis.append(Node(program, postgres, redis))
        return self.apis[-1]

    async def add_listener(self, **settings: str) -> Node:
        """Start one more listener, and wait until it is ready: active, or standing by."""
        postgres = await self._link(self.database_url)
        # One for all: listeners that see Redis at different addresses take themselves for different deployments'.
        redis = self.ears[0].redis if self.ears else await self._link(self.redis_url)
        program = await self.start_listener(**{"DATABASE_URL": postgres.url, "REDIS_URL": redis.url, **settings})
        self.ears.append(Node(program, postgres, redis))
        return self.ears[-1]

    async def caught_up(self, beyond: int) -> None:
        """Wait until Redis has a generation beyond `beyond`, and every replica has that of Redis.

        Replicas are asked for their metrics, which neither Redis nor Postgres can hold up.
        """

        async def same() -> bool:
            generation = await self.generation()
            heard = [await self.metric(replica, "cache_generation") for replica in range(len(self.apis))]
            return generation > beyond and all(each >= generation for each in heard)

        await eventually(same, within=PATIENCE_SECONDS)

    async def connect(self) -> psycopg.AsyncConnection:
        """Return a superuser's connection to Postgres, past the proxies, in autocommit."""
        return await psycopg.AsyncConnection.connect(self.database_url, autocommit=True)

    async def listener_metric(self, name: str, **labels: str) -> float:
        """Return a sample of the listeners' metrics, added up over them; 0 where there is none."""
        total = 0.0
        for ear in self.ears:
            async with ear.program.client() as client:
                total += sample((await client.get("/metrics")).text, name, labels)
        return total

    def move_postgres(self, server: OwnPostgres) -> None:
        """Have every link lead to another server from the next connection on."""
        self.database_url = server.url
        for node in (*self.apis, *self.ears):
            node.postgres.target = ("127.0.0.1", server.port)

    async def audited(self) -> None:
        """Wait until the listener has looked at the triggers, and found all well, after this call."""

        async def renewals() -> float:
            outcomes = ("renewed", "made")
            return sum([await self.listener_metric("listener_renewals_total", outcome=each) for each in outcomes])

        before = await renewals()

        async def renewed() -> bool:
            return await renewals() >= before + 2

        await eventually(renewed, within=60)

    async def _link(self, url: str) -> Proxy:
        return await self.links.enter_async_context(Proxy(url))


class Shipyard:
    """Makes fleets, on shared servers or on servers of their own, and ends them with their test."""

    def __init__(
        self,
        programs: Programs,
        room: ServerRoom,
        stack: AsyncExitStack,
        *,
        database_url: str,
        redis_url: str,
        prefix: str,
    ) -> None:
        self._programs = programs
        self._room = room
        self._stack = stack
        self._database_url = database_url
        self._redis_url = redis_url
        self._prefix = prefix

    async def launch(
        self,
        *,
        replicas: int = 2,
        listeners: int = 1,
        standbys: int = 0,
        own_postgres: bool | Mapping[str, str] = False,
        own_redis: bool | Mapping[str, str] = False,
        bound: float = BOUND,
        **settings: str,
    ) -> Fleet:
        """Start a fleet. `own_…` gives it a server of its own, with these settings; `settings` go to all programs."""
        postgres = self._room.postgres(**_named(own_postgres)) if own_postgres else None
        redis = self._room.valkey(**_named(own_redis)) if own_redis else None
        if postgres is not None:
            await migrate(postgres.url)
        fleet = Fleet(
            self._programs,
            postgres.url if postgres else self._database_url,
            redis.url if redis else self._redis_url,
            self._prefix,
            settings,
            bound=bound,
            postgres_server=postgres,
            redis_server=redis,
        )
        await self._stack.enter_async_context(fleet)
        for _ in range(listeners + standbys):
            await fleet.add_listener()
        for _ in range(replicas):
            await fleet.add_api()
        return fleet


MakeFleet = Callable[..., Awaitable[Fleet]]
"""The fixture `make_fleet`; its arguments are those of `Shipyard.launch`."""


def _named(settings: bool | Mapping[str, str]) -> Mapping[str, str]:
    return settings if isinstance(settings, Mapping) else {}
