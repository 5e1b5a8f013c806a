"""Where several workers keep their metrics."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.multiprocess import PREFIX, VARIABLE, collector, share_metrics


@pytest.fixture
def dead() -> int:
    """The id of a process that is gone."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_process_alone_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its metrics stay in its memory."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert share_metrics() is None


def test_gauges_of_the_dead_are_dropped(tmp_path: Path, dead: int) -> None:
    """What a process no longer has is not summed up; its counts stay."""
    names = [f"gauge_livesum_{dead}.db", f"gauge_livesum_{os.getpid()}.db", f"counter_{dead}.db"]
    for name in names:
        (tmp_path / name).write_bytes(b"\x08" + b"\0" * 65_535)
    collector(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names[1:])


def test_what_earlier_parents_left_is_removed(tmp_path: Path, dead: int) -> None:
    """The directories of those that live are left alone."""
    for pid in (dead, os.getpid()):
        (tmp_path / f"{PREFIX}{os.getuid()}-{pid}-0123456789abcdef").mkdir()
    script = (
        "import multiprocessing, os\n"
        "from service.multiprocess import share_metrics\n"
        "def work():\n"
        "    print(share_metrics(), flush=True)\n"
        "context = multiprocessing.get_context('fork')\n"
        "workers = [context.Process(target=work) for _ in range(2)]\n"
        "for worker in workers: worker.start(); worker.join()\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    environment.pop(VARIABLE, None)
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    (directory,) = set(ran.stdout.split())
    assert Path(directory).parent == tmp_path
    assert Path(directory).stat().st_mode & 0o777 == 0o700
    kept = {path.name.split("-")[4] for path in tmp_path.iterdir()}
    assert kept == {str(os.getpid()), Path(directory).name.split("-")[4]}
