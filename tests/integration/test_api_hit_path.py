"""Hits answered ahead of the application by real processes, over real connections."""

import asyncio
import re
import signal

from service.settings import ServiceSettings
from tests.support.api import ANOMALIES, metric
from tests.support.lease import leased
from tests.support.processes import ANALYST_KEY, Program, Programs
from tests.support.waiting import eventually

ROUTE = f'http_requests_total{{method="GET",route="{ANOMALIES}",status="200"}}'
MOMENT = re.compile(rb"(date: |age: |ttl=)[^\r;]*")
PIECE = 7


def request(target: str = ANOMALIES, *lines: str, method: str = "GET") -> bytes:
    """Return a request's bytes."""
    head = (f"{method} {target} HTTP/1.1", "host: x", f"x-api-key: {ANALYST_KEY}", *lines)
    return "\r\n".join((*head, "", "")).encode()


CONVERSATION = (
    request() * 3
    + request(method="HEAD")
    + request(f"{ANOMALIES}?limit=0")
    + request(ANOMALIES, "if-none-match: *")
    + request(ANOMALIES, "content-length: 5")
    + b"hello"
    + request("/api/v1/anomalies/none")
    + request(ANOMALIES, "accept-encoding: identity", "connection: keep-alive")
    + request(ANOMALIES, "connection: close")
)


async def converse(api: Program) -> bytes:
    """Send CONVERSATION in pieces, and return all that comes back until the server closes, but for the moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    try:
        for start in range(0, len(CONVERSATION), PIECE):
            writer.write(CONVERSATION[start : start + PIECE])
            await writer.drain()
        return MOMENT.sub(rb"\1", await asyncio.wait_for(reader.read(), 20))
    finally:
        writer.close()


async def test_with_and_without_it_the_same_bytes_come(programs: Programs, environment: dict[str, str]) -> None:
    """And are counted the same; a client that reads nothing for a while gets all; SIGTERM waits for nobody idle."""
    environment = {**environment, "CACHE_MAX_STALENESS_SECONDS": "5"}
    given = {name.lower(): value for name, value in environment.items()}
    settings = ServiceSettings.model_validate({**given, "api_keys": f"analyst={ANALYST_KEY}"})
    async with leased(settings):
        auto = await programs.api(wait=True, **environment)
        off = await programs.api(wait=True, **environment, HTTP_FAST_PATH="off")
        assert not auto.logs("HTTP_FAST_PATH is off: this uvicorn is another")

        async def all_hits() -> bool:
            said = [await converse(api) for api in (auto, off)]
            assert said[0] == said[1]
            return said[0].count(b"; hit; ttl=; detail=l1") == 8

        await eventually(all_hits)
        counted = [await counts(api) for api in (auto, off)]
        assert counted[0] == counted[1]

        reader, writer = await asyncio.open_connection("127.0.0.1", auto.port)
        writer.write(request() * 200)
        body = None
        for _ in range(200):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            length = re.search(rb"content-length: (\d+)", head)
            assert length is not None
            body = await reader.readexactly(int(length[1]))
        assert body
        assert (await counts(auto)) == counted[0] + 200

        auto.child.send(signal.SIGTERM)
        assert await auto.ended(within=20) == 0
        assert await reader.read() == b""
        writer.close()


async def counts(api: Program) -> float:
    """Return how many GETs of the list were answered with 200."""
    async with api.client() as client:
        return metric((await client.get("/metrics")).text, ROUTE)
