"""The list of processes on terminals of any width."""

import re

import pytest

from anomaly_cache.replicas import COLUMNS, show
from coherence.presence import Presence, Traffic

API = Presence(
    process="p",
    kind="api",
    host="web-1",
    pid=4711,
    version="1.2.3",
    up=12,
    state="serving",
    generation=1_795_451_038_804_471,
    lease_left=1.5,
    bound=2,
    traffic=Traffic(l1_hits=3, misses=1, requests=4, l1_entries=2, l1_bytes=1 << 20),
)


@pytest.fixture(params=[40, 80, 160])
def columns(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A terminal that is so wide."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    assert isinstance(request.param, int)
    return request.param


def test_nothing_is_cut_short(columns: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A table where there is room for one, else a paragraph for each process: every value is there whole."""
    show([API, API])
    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= columns
    for value in (*COLUMNS, "4711", "1795451038804471", "75.0%", "2 / 1.0 MiB"):
        assert any(value in line for line in lines), value
    assert any(all(name in line for name in COLUMNS) for line in lines) == (columns == 160)


def test_reads_past_the_cache_are_neither_hits_nor_misses() -> None:
    """As in the dashboard: an admin who looks on does not make the hit rate worse."""
    assert Traffic(l1_hits=2, l2_hits=1, misses=1, bypasses=96).hit_rate == 0.75
    assert Traffic(bypasses=3).hit_rate is None
