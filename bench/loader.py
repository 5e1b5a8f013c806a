"""Load on an HTTP server: wrk where it is installed, and otherwise a client in Python, which may be the bottleneck."""

import asyncio
import json
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.client import Connection, connect
from bench.errors import BenchError
from bench.figures import percentile

SCRIPT = Path(__file__).parent / "wrk.lua"
_RESULT = re.compile(r"^RESULT (\{.*\})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked. In `path`, {n} stands for a number that no other request has."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def wire(self, number: str) -> bytes:
        """Return the bytes of it, with that number."""
        lines = [f"GET {self.path.replace('{n}', number)} HTTP/1.1", "Host: bench"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the load. Latencies are in microseconds; `errors` counts what was not answered below 400."""

    requests: int
    seconds: float
    bytes: int
    errors: int
    p50: float
    p99: float
    p999: float


class Loader:
    """Keeps `connections` busy, each with one request after the other."""

    def __init__(self, connections: int) -> None:
        self.connections = connections
        self.wrk = shutil.which("wrk")
        self._runs = count(1)

    async def load(self, port: int, requests: Sequence[Request], seconds: float) -> Sent:
        """Send `requests` by turns for so long. Raises BenchError where none was answered, or one was not well."""
        seed = f"{next(self._runs):04d}"
        sent = await (self._by_wrk if self.wrk else self._by_python)(port, requests, seconds, seed)
        if not sent.requests or sent.errors:
            raise BenchError(f"{sent.errors} of {sent.requests} requests failed")
        return sent

    async def _by_wrk(self, port: int, requests: Sequence[Request], seconds: float, seed: str) -> Sent:
        with TemporaryDirectory() as name:
            file = Path(name) / "requests"
            words = [[each.path, *(word for pair in each.headers.items() for word in pair)] for each in requests]
            file.write_text("".join("\t".join(line) + "\n" for line in words))
            process = await asyncio.create_subprocess_exec(
                str(self.wrk),
                "--threads=1",
                f"--connections={self.connections}",
                f"--duration={max(1, round(seconds))}s",
                f"--script={SCRIPT}",
                f"http://127.0.0.1:{port}",
                "--",
                str(file),
                seed,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
            )
            output, _ = await process.communicate()
        return result_of(output.decode(errors="replace"))

    async def _by_python(self, port: int, requests: Sequence[Request], seconds: float, seed: str) -> Sent:
        loop = asyncio.get_running_loop()
        broken: asyncio.Future[None] = loop.create_future()
        numbers = count()
        latencies: list[float] = []
        received = errors = 0
        sent_at: dict[Connection, float] = {}

        def send(connection: Connection) -> None:
            number = next(numbers)
            sent_at[connection] = time.perf_counter()
            connection.send(requests[number % len(requests)].wire(f"{seed}{number:07d}"))

        def answered(connection: Connection, head: bytes, body: bytes) -> None:
            nonlocal received, errors
            latencies.append(time.perf_counter() - sent_at[connection])
            received += len(head) + len(body)
            errors += head[9:10] not in b"123"
            if time.perf_counter() < ends:
                send(connection)

        def failed(error: Exception) -> None:
            if not broken.done():
                broken.set_exception(error)

        connections = [await connect(port, answered, failed) for _ in range(self.connections)]
        began = time.perf_counter()
        ends = began + seconds
        for each in connections:
            send(each)
        await asyncio.wait([broken], timeout=seconds + 0.1)
        for each in connections:
            each.close()
        if broken.done():
            broken.result()
        ordered = sorted(1e6 * each for each in latencies)
        p50, p99, p999 = (percentile(ordered, percent) for percent in (50, 99, 99.9))
        return Sent(len(ordered), time.perf_counter() - began, received, errors, p50, p99, p999)


def result_of(output: str) -> Sent:
    """Return what wrk's script has said. Raises BenchError where it has not."""
    found = _RESULT.search(output)
    if found is None:
        raise BenchError(f"wrk failed: {output.strip()[-300:]}")
    return Sent(**json.loads(found[1]))
