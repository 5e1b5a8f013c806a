"""Coded forms are made once, in a thread, and kept where they are worth it."""

import asyncio
import threading
from collections.abc import Iterator
from random import Random

import pytest

from coherence import coder as module
from coherence.coder import IN_PLACE_BYTES, MOST_PENDING, Coder
from coherence.coding import CODINGS, LEAST_BYTES, ZSTD
from coherence.entry import Entry, etag_of
from coherence.events import Coded, Event
from coherence.l1 import FORM_OVERHEAD, L1
from coherence.query import Query


class Bench:
    """A coder whose gzip waits until it may go on, and notes the threads that it runs in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.l1 = L1(10**6)
        self.events: list[Event] = []
        self.coder = Coder(("gzip",), self.l1, self.events.append)
        self.may_go = threading.Event()
        self.threads: list[int] = []
        monkeypatch.setattr(module, "CODINGS", {**CODINGS, "gzip": self._gzip})

    def _gzip(self, body: bytes) -> bytes:
        self.threads.append(threading.get_ident())
        assert self.may_go.wait(20)
        return CODINGS["gzip"](body)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A coder to be tried."""
    bench = Bench(monkeypatch)
    yield bench
    bench.may_go.set()


def entry(body: bytes, name: int = 1) -> Entry:
    """Return an entry with `body`."""
    return Entry(Query("anomalies", {"name": name}), 1, 0.0, 60.0, etag_of(body), body)


async def test_a_body_is_coded_once_in_a_thread(bench: Bench) -> None:
    """Many may wait for it; the event loop does not. The bytes count in L1."""
    one = entry(b"body" * LEAST_BYTES)
    bench.l1.put(one, 1.0)
    before = bench.l1.bytes
    bench.coder.begin(one, "gzip")
    waiting = [asyncio.create_task(bench.coder.coded(one, "gzip")) for _ in range(5)]
    await asyncio.sleep(0)
    assert one.coded == {}
    bench.may_go.set()
    (coded,) = set(await asyncio.gather(*waiting))
    assert one.coded == {"gzip": coded} == {"gzip": CODINGS["gzip"](one.body)}
    assert await bench.coder.coded(one, "gzip") is coded
    bench.coder.begin(one, "gzip")
    assert len(bench.threads) == 1
    assert threading.get_ident() not in bench.threads
    assert bench.l1.bytes == before + len(coded) + FORM_OVERHEAD
    (event,) = bench.events
    assert isinstance(event, Coded)
    assert (event.coding, event.plain, event.coded) == ("gzip", len(one.body), len(coded))


async def test_what_does_not_shrink_is_not_kept(bench: Bench) -> None:
    """That it was tried is remembered; what is small is not even tried."""
    bench.may_go.set()
    for body in (Random(1).randbytes(5000), b"x" * (LEAST_BYTES - 1)):
        one = entry(body)
        assert await bench.coder.coded(one, "gzip") == b""
        assert one.coded == {"gzip": b""}
    assert len(bench.threads) == 1


async def test_no_more_wait_than_may(bench: Bench) -> None:
    """Beyond that, answers stay plain until somebody asks again."""
    entries = [entry(b"x" * LEAST_BYTES, name) for name in range(MOST_PENDING + 5)]
    for each in entries:
        bench.coder.begin(each, "gzip")
    bench.may_go.set()
    await asyncio.gather(*bench.coder._tasks.values())
    assert [bool(each.coded) for each in entries] == [True] * MOST_PENDING + [False] * 5
    await bench.coder.close()


async def test_what_takes_less_time_than_a_thread_is_made_without_one() -> None:
    """A page of the usual size in zstd: handing it over would keep the event loop for as long."""
    coder = Coder((ZSTD,), L1(10**6), lambda _: None)
    threads = threading.active_count()
    one = entry(b"body" * 10_000)
    assert await coder.coded(one, ZSTD) == CODINGS[ZSTD](one.body)
    assert threading.active_count() == threads
    large = b"x" * (IN_PLACE_BYTES + 1)
    assert await coder.code(large, ZSTD) == CODINGS[ZSTD](large)
    assert threading.active_count() > threads
