"""Everybody whose speed is measured, started."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from anomaly_cache.demo.servers import Servers
from anomaly_cache.servers.child import Child
from anomaly_cache.servers.errors import ServerError
from bench.client import get, header
from bench.errors import BenchError
from bench.loader import Request
from bench.pinning import Pinning
from bench.speed import servers as others
from bench.system import API_KEY, System, system
from service.settings import ServiceSettings

SIZES = {"1k": 1024, "50k": 51_200}
RAW = "raw ASGI, constant bytes"
MISS = "ours: miss"
ROWS = "rows + orjson, no cache"
PAGES = 100
"""Different answers that the reads of L2 go through, so that hardly any two share a flight."""

KEY = {"X-API-Key": API_KEY}
SETTINGS = {"CACHE_TTL_ANOMALIES": "3600", "CACHE_MAX_STALENESS_SECONDS": "5"}
REPLICAS: Sequence[Mapping[str, str]] = (
    {"HTTP_FAST_PATH": "auto"},
    {"HTTP_FAST_PATH": "off"},
    {"HTTP_FAST_PATH": "auto", "CACHE_L1_MAX_BYTES": "0"},
)
Server = AbstractAsyncContextManager[tuple[Child, int]]


@dataclass(frozen=True, slots=True)
class Contender:
    """A server that runs, what it is asked, by size, and what the head of each answer must hold."""

    name: str
    pid: int
    port: int
    requests: Mapping[str, Sequence[Request]]
    expected: bytes = b"HTTP/1.1 200 "


@dataclass(frozen=True, slots=True)
class Field:
    """All that run, and why others could not."""

    contenders: Sequence[Contender]
    missing: Mapping[str, str]
    bytes: Mapping[str, int]


@asynccontextmanager
async def contenders(servers: Servers, pinning: Pinning, rows: int) -> AsyncIterator[Field]:
    """Start everybody. Whoever does not start is told of in `missing`; raises where ours or the raw one does not."""
    served = pinning.served()
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(system(servers, "speed", SETTINGS, replicas=REPLICAS, served=served))
        home = _home(stack)
        limits = await _limits(made.replicas[0].port, rows)
        bodies = {size: (await get(made.replicas[0].port, _page(limit)))[1] for size, limit in limits.items()}
        for size, body in bodies.items():
            (home / f"{size}.json").write_bytes(body)
        settings = {
            "BENCH_BODIES": str(home),
            "REDIS_URL": servers.valkey.url,
            "DATABASE_URL": made.database_url,
        }
        _, origin = await stack.enter_async_context(others.application("raw", home, settings))
        started, missing = await _others(stack, home, settings, origin, served)
        rows_orjson = [each for each in started if each.name == ROWS]
        for each in rows_orjson:
            started.remove(each)
            started.append(Contender(ROWS, each.pid, each.port, _misses("/?", limits)))
        yield Field([*started, *await _ours(made, limits)], missing, {size: len(body) for size, body in bodies.items()})


def _home(stack: AsyncExitStack) -> Path:
    home = Path(stack.enter_context(TemporaryDirectory(prefix="anomaly-cache-bench-")))
    home.chmod(0o755)  # Varnish's own account has to pass through
    return home


async def _others(
    stack: AsyncExitStack, home: Path, settings: Mapping[str, str], origin: int, served: Sequence[str]
) -> tuple[list[Contender], dict[str, str]]:
    def application(name: str, *, own: bool = True) -> Callable[[], Server]:
        return lambda: others.application(name, home, settings, served=served, own=own)

    makers: Mapping[str, Callable[[], Server]] = {
        RAW: application("raw", own=False),
        "Starlette JSONResponse, no cache": application("starlette_json", own=False),
        "nginx proxy_cache": lambda: others.nginx(home, origin, served),
        "Varnish": lambda: others.varnish(home, origin, served),
        "FastAPI + cashews, client-side": application("peer_cashews"),
        "fastapi-cache2 + Redis": application("peer_fastapi_cache2"),
        "aiocache + Redis": application("peer_aiocache"),
        ROWS: application("rows_orjson"),
    }
    started, missing = [], {}
    plain = {size: (Request(f"/{size}"),) for size in SIZES}
    for name, make in makers.items():
        try:
            child, port = await stack.enter_async_context(make())
        except (BenchError, ServerError) as error:
            if name == RAW:
                raise
            missing[name] = str(error)
        else:
            started.append(Contender(name, child.pid, port, plain))
    return started, missing


async def _ours(made: System, limits: Mapping[str, int]) -> list[Contender]:
    fast, slow, without_l1 = [(each.child.pid, each.port) for each in made.replicas]
    plain = {size: (Request(_page(limit), KEY),) for size, limit in limits.items()}
    tags = {}
    for size, limit in limits.items():
        head, _ = await get(fast[1], _page(limit))
        tags[size] = header(head, b"etag").decode()
    known = {size: (Request(_page(limit), {**KEY, "If-None-Match": tags[size]}),) for size, limit in limits.items()}
    gzip = {size: (Request(_page(limit), {**KEY, "Accept-Encoding": "gzip"}),) for size, limit in limits.items()}
    pages = {
        size: [Request(f"{_page(limit)}&offset={offset}", KEY) for offset in range(PAGES)]
        for size, limit in limits.items()
    }
    hit = "ours: hit, protocol class" if "http_fast_path" in ServiceSettings.model_fields else "ours: hit"
    found = [
        Contender(hit, *fast, plain, b"detail=l1"),
        Contender("ours: hit, ASGI", *slow, plain, b"detail=l1"),
        Contender("ours: 304", *fast, known, b"HTTP/1.1 304 "),
        Contender("ours: gzip hit", *fast, gzip, b"content-encoding: gzip"),
        Contender("ours: L2 hit", *without_l1, pages, b"detail=l2"),
        Contender(MISS, *without_l1, _misses("/api/v1/anomalies?", limits, KEY), b"fwd=uri-miss"),
    ]
    return found if hit.endswith("class") else [each for each in found if each.name != "ours: hit, ASGI"]


def _page(limit: int) -> str:
    return f"/api/v1/anomalies?limit={limit}"


def _misses(
    front: str, limits: Mapping[str, int], headers: Mapping[str, str] | None = None
) -> dict[str, list[Request]]:
    # Each asks for other scores, and gets the same rows: no score is as low as these.
    return {
        size: [Request(f"{front}limit={limit}&min_score=0.0000{{n}}", headers or {})] for size, limit in limits.items()
    }


async def _limits(port: int, rows: int) -> dict[str, int]:
    """Return how many rows make a page of about each size."""
    limit = min(rows, 100)
    _, body = await get(port, _page(limit))
    return {size: max(1, round(wanted * limit / len(body))) for size, wanted in SIZES.items()}
