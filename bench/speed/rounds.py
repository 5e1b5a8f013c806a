"""Rounds in which everybody has a turn, so that what the machine does beside falls on all alike."""

import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import psutil

from bench.client import ask
from bench.errors import BenchError
from bench.loader import Loader, Request, Sent
from bench.pinning import processor_seconds, resident_bytes
from bench.speed.contenders import SIZES, Contender, Field
from bench.system import tree

WARM_SECONDS = 1.0
CONNECTIONS = 32
LOOKS = 3
ENOUGH_SECONDS = 330.0


async def measure(
    field: Field, *, rounds: int, seconds: float, advance: Callable[[str], None]
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Return what was measured: by size, by name, a record a round, None for one that failed.

    `advance` is called with what is measured next. A contender that fails has a record with the reason alone. No round
    begins after ENOUGH_SECONDS.
    """
    loader = Loader(CONNECTIONS)
    found: dict[str, dict[str, list[dict[str, Any]]]] = {size: defaultdict(list) for size in SIZES}
    began = time.monotonic()
    for number in range(rounds):
        if time.monotonic() - began > ENOUGH_SECONDS:
            break
        for size in SIZES:
            for each in _turned(list(field.contenders), number):
                advance(f"{each.name}, {size}")
                try:
                    if number == 0:
                        await loader.load(each.port, each.requests[size], WARM_SECONDS)
                    found[size][each.name].append(await _one(loader, each, size, seconds))
                except (BenchError, OSError) as error:
                    found[size][each.name].append({"failed": str(error) or type(error).__name__})
    return {size: dict(by_name) for size, by_name in found.items()}


def _turned(contenders: list[Contender], number: int) -> list[Contender]:
    """Return them in an order that begins with another each time."""
    first = number % len(contenders)
    return contenders[first:] + contenders[:first]


async def _one(loader: Loader, contender: Contender, size: str, seconds: float) -> dict[str, float]:
    requests = contender.requests[size]
    await _check(contender, requests[0], "before")
    process = psutil.Process(contender.pid)
    used = processor_seconds(process)
    sent = await loader.load(contender.port, requests, seconds)
    used = processor_seconds(process) - used
    await _check(contender, requests[-1], "after")
    return record(sent, used, sum(resident_bytes(each.pid) for each in tree(process)))


def record(sent: Sent, processor_seconds: float, resident: int) -> dict[str, float]:
    """Return one turn's figures: requests per second, latencies and processor time a request in µs, memory in MiB."""
    return {
        "rps": sent.requests / sent.seconds,
        "p50": sent.p50,
        "p99": sent.p99,
        "p999": sent.p999,
        "cpu": 1e6 * processor_seconds / sent.requests,
        "mib": resident / 2**20,
    }


async def _check(contender: Contender, request: Request, when: str) -> None:
    """See that the answer is of the kind that is measured. The second look may find what the first has left."""
    head = b""
    for _ in range(LOOKS):
        head, _ = await ask(contender.port, request.wire(str(time.monotonic_ns())))
        if contender.expected.lower() in head.lower():
            return
    raise BenchError(f"{when} its turn it answered {head.decode(errors='replace')[:200]!r}")
