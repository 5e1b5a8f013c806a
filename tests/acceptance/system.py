"""The whole system as a test sees it: two replicas and a listener, as processes, and a DBA at a psql."""

import asyncio
import os
import time
from dataclasses import dataclass, field
from typing import Any, Self

import httpx2
import psycopg
from redis.asyncio import Redis

from anomaly_cache.servers.binaries import find_psql
from tests.support.processes import ADMIN_KEY, ANALYST_KEY, Program, Programs
from tests.support.waiting import eventually

ANOMALIES = "/api/v1/anomalies"
STATS = "/api/v1/cache/stats"
SETTLE_SECONDS = 20.0
MODE_VARIABLE = "TEST_CACHE_INVALIDATION"
"""Set it to `namespace` to hold the same scenarios against the other way of invalidation."""


@dataclass
class System:
    """What runs, and where. `async with` closes the clients; the programs end with their fixture."""

    programs: Programs
    database_url: str
    redis_url: str
    prefix: str
    more: dict[str, str] = field(default_factory=dict)
    replicas: list[Program] = field(default_factory=list)
    listeners: list[Program] = field(default_factory=list)
    clients: list[httpx2.AsyncClient] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        self.redis = Redis.from_url(self.redis_url)
        self.admin = httpx2.AsyncClient(headers={"X-API-Key": ADMIN_KEY}, trust_env=False)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(*(client.aclose() for client in [*self.clients, self.admin]))
        await self.redis.aclose()

    def settings(self, **more: str) -> dict[str, str]:
        """Return the environment of a program of this system."""
        return {
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "CACHE_PREFIX": self.prefix,
            "WARM_QUERIES": "limit=7",
            "CACHE_INVALIDATION": os.environ.get(MODE_VARIABLE, "rows"),
            **self.more,
            **more,
        }

    async def start_listener(self, **more: str) -> Program:
        """Start a listener, and wait until it is ready."""
        listener = await self.programs.listener(wait=True, **self.settings(**more))
        self.listeners.append(listener)
        return listener

    async def start_replica(self, **more: str) -> Program:
        """Start an API process, and wait until it is ready."""
        replica = await self.programs.api(wait=True, **self.settings(**more))
        self.replicas.append(replica)
        self.clients.append(
            httpx2.AsyncClient(base_url=replica.url, headers={"X-API-Key": ANALYST_KEY}, timeout=15, trust_env=False)
        )
        return replica

    async def get(self, replica: int, path: str = ANOMALIES, **options: Any) -> httpx2.Response:
        """GET from a replica, which must answer 200."""
        response = await self.clients[replica].get(path, **options)
        assert response.status_code == httpx2.codes.OK, response.text
        return response

    async def put_status(self, replica: int, transaction_id: str, status: str) -> httpx2.Response:
        """PUT a status through a replica, which must answer 200."""
        path = f"{ANOMALIES}/{transaction_id}"
        response = await self.clients[replica].put(path, json={"new_status": status})
        assert response.status_code == httpx2.codes.OK, response.text
        return response

    async def caching(self) -> None:
        """Wait until every replica has a lease and answers from its L1."""
        for replica in range(len(self.clients)):

            async def hits(replica: int = replica) -> bool:
                return layer(await self.get(replica, f"{ANOMALIES}?limit=1")) == "l1"

            await eventually(hits, within=SETTLE_SECONDS)

    async def cached(self, path: str = ANOMALIES) -> None:
        """Wait until every replica answers `path` from its L1."""
        for replica in range(len(self.clients)):

            async def hits(replica: int = replica) -> bool:
                return layer(await self.get(replica, path)) == "l1"

            await eventually(hits, within=SETTLE_SECONDS)

    async def sql(self, *statements: str) -> None:
        """Run statements as a superuser in one transaction, as a batch job would."""
        async with await psycopg.AsyncConnection.connect(self.database_url) as connection:
            for statement in statements:
                await connection.execute(statement.encode())

    async def psql(self, script: str, feed: str = "") -> str:
        """Run a script in a real psql; `feed` is what a `COPY … FROM STDIN` in it reads. Returns what psql printed."""
        process = await asyncio.create_subprocess_exec(
            psql_binary(),
            "--no-psqlrc",
            "--quiet",
            "--set=ON_ERROR_STOP=1",
            self.database_url,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate(f"{script}\n{feed}".encode())
        assert process.returncode == 0, output.decode()
        return output.decode()

    async def shows(self, replica: int, path: str, wanted: object, *, within: float = SETTLE_SECONDS) -> float:
        """Wait until a replica's answer to `path` is as `wanted` (see `view`), and return the seconds it took."""
        started = time.perf_counter()

        async def same() -> bool:
            return view(await self.get(replica, path)) == wanted

        await eventually(same, within=within, every=0.001)
        return time.perf_counter() - started

    async def generation(self) -> int:
        """Return the generation that Redis has; 0 where it has none."""
        return int(await self.redis.get(f"{self.prefix}coherence:generation") or 0)

    async def caught_up(self, beyond: int) -> None:
        """Wait until Redis has a generation beyond `beyond`, and every replica has that of Redis."""

        async def same() -> bool:
            generation = await self.generation()
            stats = [(await self.get(replica, STATS)).json() for replica in range(len(self.clients))]
            return generation > beyond and all(each["view"]["generation"] >= generation for each in stats)

        await eventually(same, within=SETTLE_SECONDS)

    async def keys(self, namespace: str) -> int:
        """Return how many keys Redis has under a namespace."""
        return len(await self.redis.keys(f"{self.prefix}{namespace}:*"))

    async def forget(self, namespace: str) -> None:
        """Remove all that Redis has under a namespace."""
        keys = await self.redis.keys(f"{self.prefix}{namespace}:*")
        if keys:
            await self.redis.unlink(*keys)

    async def metric(self, replica: int, name: str, **labels: str) -> float:
        """Return a sample of a replica's /metrics; 0 where there is none."""
        return sample((await self.clients[replica].get("/metrics")).text, name, labels)


def psql_binary() -> str:
    """Return the path of a real psql."""
    found = find_psql()
    assert found is not None, "no psql"
    return str(found)


def layer(response: httpx2.Response) -> str:
    """Return the `detail` of an answer's Cache-Status: l1, l2, db, or why the cache was bypassed."""
    return response.headers["Cache-Status"].rpartition("detail=")[2]


def view(response: httpx2.Response) -> list[tuple[str, str]]:
    """Return the ids and statuses that a list shows."""
    return [(row["transaction_id"], row["status"]) for row in response.json()["anomalies"]]


def sample(text: str, name: str, labels: dict[str, str]) -> float:
    """Return the sum of a metric's samples with these labels, in Prometheus' text form; 0 where there is none."""
    total = 0.0
    for line in text.splitlines():
        series, _, value = line.rpartition(" ")
        metric, _, rest = series.partition("{")
        if metric == name and all(f'{label}="{wanted}"' in rest for label, wanted in labels.items()):
            total += float(value)
    return total
