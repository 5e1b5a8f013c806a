"""The demo's live lines: read from the replicas' logs, put together, one line each."""

import json
from pathlib import Path

import pytest

from anomaly_cache.demo.follow import PATIENCE, Follower, Invalidation, Tail, describe


def line(generation: int, latency_ms: float, **more: object) -> str:
    """Return a replica's log line of an invalidation."""
    entry = {
        "event": "cache invalidated",
        "namespace": "anomalies",
        "generation": generation,
        "cause": "update",
        "notifications": 1,
        "latency_ms": latency_ms,
        **more,
    }
    return json.dumps(entry) + "\n"


@pytest.fixture
def logs(tmp_path: Path) -> dict[str, Path]:
    """The logs of two replicas, with something in them from before."""
    paths = {"8000": tmp_path / "one.log", "8001": tmp_path / "two.log"}
    for path in paths.values():
        path.write_text(line(1, 0.1))
    return paths


def add(path: Path, text: str) -> None:
    """Append to a log."""
    with path.open("a") as log:
        log.write(text)


def test_a_tail_gives_whole_lines_once_and_none_from_before(tmp_path: Path) -> None:
    """A line that is being written waits until it is whole."""
    path = tmp_path / "log"
    path.write_text("before\n")
    tail = Tail(path)
    add(path, "one\ntw")
    assert tail.lines() == [b"one"]
    assert tail.lines() == []
    add(path, "o\n")
    assert tail.lines() == [b"two"]


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    """A replica that has not logged has no lines."""
    assert Tail(tmp_path / "none").lines() == []


def test_reports_of_one_invalidation_are_put_together(logs: dict[str, Path]) -> None:
    """One invalidation is one line, with the latency of each replica."""
    follower = Follower(logs)
    add(logs["8000"], line(2, 0.5))
    assert list(follower.take(0.0)) == []
    add(logs["8001"], line(2, 0.75) + line(3, 1.0))
    (seen,) = follower.take(0.1)
    assert (seen.generation, seen.latencies) == (2, {"8000": 0.5, "8001": 0.75})


def test_a_replica_that_does_not_report_is_waited_for_only_so_long(logs: dict[str, Path]) -> None:
    """After a while the line comes without the missing latency."""
    follower = Follower(logs)
    add(logs["8000"], line(2, 0.5))
    assert list(follower.take(10.0)) == []
    (seen,) = follower.take(10.0 + PATIENCE)
    assert seen.latencies == {"8000": 0.5}
    assert describe(seen, ["8000", "8001"], 80).endswith("8000:   0.5 ms   8001:        ?")


def test_generations_of_the_start_are_passed_over(logs: dict[str, Path]) -> None:
    """What was invalidated before the demo was ready is nobody's change."""
    follower = Follower(logs, after=2)
    for path in logs.values():
        add(path, line(2, 0.5) + line(3, 0.5))
    assert [seen.generation for seen in follower.take(0.0)] == [3]


def test_other_lines_are_passed_over(logs: dict[str, Path]) -> None:
    """Other events, and what is no JSON at all, make no line."""
    follower = Follower(logs)
    add(logs["8000"], 'Traceback (most recent call last):\n[1]\n{"event": "cache on"}\n')
    assert list(follower.take(PATIENCE * 2)) == []


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (40, "anomalies update 0.5 ms / 0.8 ms"),
        (80, "anomalies update          1 notification    8000:   0.5 ms   8001:   0.8 ms"),
    ],
)
def test_a_line_fits_the_terminal(width: int, expected: str) -> None:
    """On a narrow terminal the line is short."""
    seen = Invalidation("anomalies", 2, "update", 1, 0.0, {"8000": 0.5, "8001": 0.75})
    told = describe(seen, ["8000", "8001"], width)
    assert told.endswith(expected)
    assert len(told) <= max(width, len("12:00:00  ") + len(expected))


def test_everything_is_called_so() -> None:
    """The namespace of all namespaces has a name that a person reads."""
    seen = Invalidation("*", 2, "gap", 2, 0.0, {})
    assert describe(seen, ["8000"], 40) == "everything gap ?"
    assert "2 notifications" in describe(seen, ["8000"], 80)
