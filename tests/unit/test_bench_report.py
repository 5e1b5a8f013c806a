"""The arithmetic and the report of `make bench`, and a load of a second on a small server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from bench import report, sections
from bench.errors import BenchError
from bench.growth.section import CACHES
from bench.growth.section import render as growth
from bench.loader import Loader, Request, Sent, result_of
from bench.sections import Section
from bench.speed.contenders import MISS, RAW, ROWS
from bench.speed.report import AIMS, CAUSES, PROTOCOL, charts, render
from bench.speed.rounds import record
from bench.speed.summary import failures, lines, ratio
from tests.support.documents import DOCS
from tests.support.tools import tool

SENT = Sent(requests=1000, seconds=2.0, bytes=1, errors=0, p50=10, p99=20, p999=30)


def turn(rps: float, cpu: float = 50.0) -> dict[str, Any]:
    """A turn's figures."""
    return {"rps": rps, "p50": 1, "p99": 2, "p999": 3, "cpu": cpu, "mib": 4}


def result(**sizes: Any) -> dict[str, Any]:
    """A result of the speeds."""
    by_name = {RAW: [turn(100)], PROTOCOL: [turn(250)], MISS: [turn(10, 30)], ROWS: [turn(5, 100)]}
    return {
        "rounds": 1,
        "seconds": 1.0,
        "load": "wrk",
        "server_processor": 0,
        "bytes": {"1k": 1024, "50k": 51_200},
        "missing": {"Varnish": "varnishd is not installed"},
        "sizes": {"1k": by_name, "50k": by_name, **sizes},
    }


def test_a_turns_figures() -> None:
    """A rate, and what a request costs in processor time and holds in memory."""
    assert record(SENT, 0.05, 2**21) == {"rps": 500, "p50": 10, "p99": 20, "p999": 30, "cpu": 50, "mib": 2}


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    """A round in which the machine was slow counts like any other; one that failed does not count."""
    ours = [turn(200), turn(20), turn(400), {"failed": "it fell"}]
    raw = [turn(100), turn(10), turn(100), turn(1)]
    assert ratio(ours, raw) == 2.0
    assert ratio(ours, ()) == 0.0
    assert ratio([turn(1, cpu=30)], [turn(1, cpu=100)], "cpu") == 0.3


def test_lines_are_medians_the_fastest_first() -> None:
    """Whoever failed in every round has none."""
    found = lines({RAW: [turn(100), turn(300), turn(110)], "ours": [turn(220)] * 3, "lost": [{"failed": "no"}]}, RAW)
    assert [(line.name, line.rps, line.ratio) for line in found] == [("ours", 220, 2.0), (RAW, 110, 1.0)]


def test_failures_are_told_with_their_first_reason() -> None:
    """And those who have none are not."""
    assert failures({"a": [turn(1)], "b": [turn(1), {"failed": "x"}, {"failed": "y"}]}) == {"b": "x"}


def test_the_speeds_report_tells_what_was_missed_and_what_could_not_run() -> None:
    """Aims that are met, missed and not measured are each called so."""
    text = render(result())
    assert "1k, \N{MULTIPLICATION SIGN} raw ASGI, constant bytes | ≥ 2.3 | 2.50 | met |" in text
    assert "1k, CPU \N{MULTIPLICATION SIGN} rows + orjson, no cache | ≤ 0.35 | 0.30 | met |" in text
    assert text.count("not measured") == len(AIMS) - 2
    assert "- Varnish: varnishd is not installed" in text
    slow = render(result(**{"1k": {RAW: [turn(100)], PROTOCOL: [turn(200)]}}))
    assert f"| 2.00 | **missed** | {CAUSES[PROTOCOL]} |" in slow
    assert set(charts(result())) == {"speed-1k.svg", "speed-50k.svg"}


def test_growth_is_told_where_a_part_failed() -> None:
    """The others have their tables, and say whether they are flat."""
    entries = [
        {"entries": number, "hit": hit, "least": 0.1, "change": 0.5} for number, hit in ((10, 1.0), (100_000, 2.0))
    ]
    text = growth({"redis_keys": "Could not be run: x", "l1_entries": entries, "subscribers": [], "rows": []})
    assert "Could not be run: x" in text
    assert f"**not flat** {CACHES}, at the end 2.00 times" in text
    assert "| 100,000 | 2 | 0.1 | 0.5 |" in text


def test_a_result_of_wrk() -> None:
    """The script's line is read; without it the failure shows what wrk said."""
    line = '{"requests": 1000, "seconds": 2.0, "bytes": 1, "errors": 0, "p50": 10, "p99": 20, "p999": 30}'
    assert result_of(f"Running 2s test\nRESULT {line}\n") == SENT
    with pytest.raises(BenchError, match="unable to connect"):
        result_of("unable to connect to 127.0.0.1")


async def test_a_section_that_fails_leaves_a_reason() -> None:
    """So does one that takes too long."""

    async def fail(*_: object) -> dict[str, Any]:
        raise BenchError("no server")

    async def hang(*_: object) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    for measure, why in ((fail, "no server"), (hang, "it took longer than 0.01 s")):
        section = Section("any", "Any", measure, str)
        assert (await sections.run(section, True, lambda _: None, 0.01))["failed"] == why


def test_the_page_keeps_what_is_not_generated() -> None:
    """The part between the marks is replaced, and no other."""
    page = (DOCS / "performance.md").read_text()
    made = report.with_generated(page, "figures")
    assert f"{report.BEGIN}\n\nfigures\n{report.END}" in made
    assert report.with_generated(made, "others").replace("others", "figures") == made
    assert made.endswith(page.rpartition(report.END)[2])
    with pytest.raises(ValueError, match="no generated part"):
        report.with_generated("a page", "figures")


def test_the_report_is_written_whatever_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON, Markdown and charts of what was measured; a reason for what was not."""
    monkeypatch.setattr(report, "RESULTS", tmp_path)
    document = {
        "machine": {
            "date": "2026-01-01",
            "processors": 2,
            "system": "Linux",
            "python": "3",
            "postgres": "18",
            "load_before": 0.1,
        },
        "quick": True,
        "took": 100.0,
        "sections": {"speed": result(), "growth": {"failed": "out of memory"}},
    }
    path = report.write(document, "try", documented=False)
    assert json.loads(path.read_text())["sections"]["growth"] == {"failed": "out of memory"}
    text = path.with_suffix(".md").read_text()
    assert "these figures mean little" in text
    assert "Could not be run: out of memory" in text
    assert "How soon after a COMMIT" not in text
    assert all((tmp_path / name).exists() for name in [f"{path.stem}-speed-1k.svg", f"{path.stem}-speed-50k.svg"])


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a server that answers each request with 200, or 500 where its path says so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                status = b"500 No" if head.startswith(b"GET /bad") else b"200 OK"
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: 2\r\n\r\nhi" % status)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("by", ["wrk", "python"])
async def test_a_load_counts_answers_and_is_refused_where_one_is_not_well(echo: int, by: str) -> None:
    """By wrk, and by our own client."""
    loader = Loader(2)
    loader.wrk = tool("wrk") if by == "wrk" else None
    sent = await loader.load(echo, [Request("/{n}", {"X-Key": "k"})], 1)
    assert sent.requests > 10
    assert 0 < sent.p50 <= sent.p99 <= sent.p999
    with pytest.raises(BenchError, match="requests failed"):
        await loader.load(echo, [Request("/bad")], 1)
