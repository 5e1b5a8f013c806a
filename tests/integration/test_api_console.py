"""The console's stream of a real process, to its end."""

import json
import signal
from collections.abc import AsyncIterator

import httpx2

from service.console.stream import EVENTS
from tests.acceptance.system import sample
from tests.support.api import ANOMALIES
from tests.support.processes import ADMIN_KEY, Programs
from tests.support.waiting import eventually


async def told_of_all(lines: AsyncIterator[str], analyst: httpx2.AsyncClient) -> None:
    """Read until both events have come, the processes of both kinds, and what is asked for meanwhile as hot."""
    names, processes, hottest = set(), set(), set()
    async for line in lines:
        name, _, data = line.partition(": ")
        if name == "event":
            names.add(data)
        elif name == "data" and "processes" in (state := json.loads(data)):
            processes |= {each["kind"] for each in state["processes"]}
            hottest |= {each["namespace"] for each in state["hottest"]}
            await analyst.get(ANOMALIES)
        if names == {"changes", "state"} and processes == {"api", "listener"} and hottest == {"anomalies"}:
            return


async def answered_at_once(client: httpx2.AsyncClient) -> float:
    """Return how many streams have ended that count as answered within a second."""
    said = (await client.get("/metrics")).text
    return sample(said, "http_request_duration_seconds_bucket", {"route": EVENTS, "method": "GET", "le": "1.0"})


async def test_a_stream_tells_and_ends_with_the_process(programs: Programs, environment: dict[str, str]) -> None:
    """However long it was open, it is no slow request; SIGTERM ends it whole, and the process with it."""
    await programs.listener(wait=True, **environment)
    api = await programs.api(wait=True, **environment)
    async with api.client() as analyst, api.client(ADMIN_KEY) as admin:
        async with admin.stream("GET", EVENTS, timeout=30) as stream:
            assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert stream.headers["cache-control"] == "no-store"
            await told_of_all(stream.aiter_lines(), analyst)

        async def counted() -> bool:
            return await answered_at_once(analyst) == 1

        await eventually(counted)
        async with admin.stream("GET", EVENTS, timeout=30) as stream:
            lines = stream.aiter_lines()
            await anext(lines)
            api.child.send(signal.SIGTERM)
            # Had it been cut off, this would raise that the rest is missing.
            async for _ in lines:
                pass
    assert await api.ended() == 0
    assert "Cancel" not in api.child.log.read_text()
