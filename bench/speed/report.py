"""The tables and charts of the speeds, and how they compare to what was aimed at."""

from collections.abc import Mapping
from typing import Any

from bench.bars import bars
from bench.figures import table
from bench.speed.contenders import MISS, RAW, ROWS
from bench.speed.summary import Line, failures, lines, ratio

NGINX = "nginx proxy_cache"
CASHEWS = "FastAPI + cashews, client-side"
CACHE2 = "fastapi-cache2 + Redis"
PROTOCOL, ASGI, KNOWN, L2 = "ours: hit, protocol class", "ours: hit, ASGI", "ours: 304", "ours: L2 hit"

AIMS = (
    ("1k", ASGI, RAW, 0.88),
    ("50k", ASGI, RAW, 0.88),
    ("1k", PROTOCOL, RAW, 2.3),
    ("50k", PROTOCOL, RAW, 1.6),
    ("1k", PROTOCOL, NGINX, 0.9),
    ("50k", PROTOCOL, NGINX, 0.9),
    ("1k", KNOWN, PROTOCOL, 1.0),
    ("50k", KNOWN, PROTOCOL, 1.0),
    ("50k", PROTOCOL, CASHEWS, 25.0),
    ("50k", PROTOCOL, CACHE2, 40.0),
    ("1k", L2, RAW, 0.3),
    ("50k", L2, RAW, 0.3),
)
"""Requests per second as a multiple of another's: size, whose, of whose, at least."""

MISS_AIM = 0.35
"""A miss' processor time as a share of that of reading rows and encoding them, at most."""

CAUSES = {
    ASGI: "uvicorn's own work is nearly all of it; more header fields, the key, the proof and the counters come on top",
    PROTOCOL: "what is left is the parser's calls into Python and, at 50 kB, the kernel's writing",
    KNOWN: "a hit's work but for the body's bytes, and a tag to compare",
    L2: "uvicorn's work for any request, a command to Redis, the entry's checksum and proof; at 50 kB zstd's way back",
    MISS: "the driver's part of the read alone is more than the aim; Redis is asked, the turn taken, the body stored",
}
"""What the time goes into, where an aim is missed."""


def render(result: Mapping[str, Any]) -> str:
    """Return the tables in Markdown."""
    how = (
        f"{result['rounds']} rounds of {result['seconds']:g} s, in which all take turns; 32 keep-alive connections, "
        f"load by {result['load']}.\n{_where(result)} Medians; `× raw` is the median of the ratios within a round.\n"
        "CPU is the server's, a request; memory is that of all its processes.\n"
    )
    parts = [how]
    for size, by_name in result["sizes"].items():
        parts.append(f"Bodies of {result['bytes'][size]:,} bytes:\n\n{_table(lines(by_name, RAW))}")
    parts.append(f"What was aimed at:\n\n{_aims(result['sizes'])}")
    lost = dict(result["missing"])
    for by_name in result["sizes"].values():
        lost.update(failures(by_name))
    if lost:
        parts.append("Could not be run, or not in every round:\n\n" + "".join(_item(*each) for each in lost.items()))
    return "\n".join(parts)


def charts(result: Mapping[str, Any]) -> dict[str, str]:
    """Return the charts, by the name of their file."""
    return {
        f"speed-{size}.svg": bars(
            f"Requests/s at {result['bytes'][size] / 1000:.0f} kB, as a multiple of constant bytes under uvicorn",
            [(line.name, line.ratio) for line in lines(by_name, RAW)],
            unit="×",
            marked="ours",
        )
        for size, by_name in result["sizes"].items()
    }


def _where(result: Mapping[str, Any]) -> str:
    if result["server_processor"] is None:
        return "Nothing is pinned to a processor: the load and the server share them."
    return "The server has a processor of its own; the load, Redis, Postgres and the rest share another."


def _table(found: list[Line]) -> str:
    return table(
        ["", "requests/s", "× raw", "p50 ms", "p99 ms", "p99.9 ms", "CPU µs", "MiB"],
        [
            [
                each.name,
                f"{each.rps:,.0f}",
                f"{each.ratio:.2f}" if each.ratio >= 0.1 else f"{each.ratio:.3f}",  # noqa: PLR2004 - two figures
                *(f"{latency / 1000:.2f}" for latency in (each.p50, each.p99, each.p999)),
                f"{each.cpu:,.0f}",
                f"{each.mib:,.0f}",
            ]
            for each in found
        ],
    )


def _aims(sizes: Mapping[str, Any]) -> str:
    rows = []
    for size, ours, other, least in AIMS:
        found = ratio(sizes[size].get(ours, ()), sizes[size].get(other, ()))
        rows.append(
            [*_aim(f"{ours}, {size}, × {other}", found, f"≥ {least:g}"), *_verdict(ours, found, found >= least)]
        )
    for size in sizes:
        found = ratio(sizes[size].get(MISS, ()), sizes[size].get(ROWS, ()), "cpu")
        aim = _aim(f"{MISS}, {size}, CPU × {ROWS}", found, f"≤ {MISS_AIM:g}")
        rows.append([*aim, *_verdict(MISS, found, found <= MISS_AIM)])
    return table(["", "aim", "measured", "", "what it goes into"], rows)


def _aim(what: str, found: float, aim: str) -> list[str]:
    return [what, aim, f"{found:.2f}" if found else "not measured"]


def _verdict(ours: str, found: float, met: bool) -> list[str]:
    if not found:
        return ["", ""]
    return ["met", ""] if met else ["**missed**", CAUSES[ours]]


def _item(name: str, why: str) -> str:
    return f"- {name}: {' '.join(why.split())[:300]}\n"
