"""Programs that are forked are what `python -m` would have made of them."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nursery import Nursery, Nursling
from tests.support.processes import clean_environment
from tests.support.waiting import eventually

SAYS = """
import json, os, signal, sys
print(json.dumps({
    "argv": sys.argv[1:], "name": __name__, "main": sys.modules["__main__"].__spec__.name, "home": os.getcwd(),
    "environment": dict(os.environ), "session": os.getsid(0) == os.getpid(), "here": sys.path[0],
}), flush=True)
if "wait" in sys.argv:
    signal.pause()
sys.exit(7)
"""


@pytest.fixture
def child(nursery: Nursery | None, tmp_path: Path) -> Iterator[Nursling]:
    """A program that says what it is, and waits for a signal."""
    if nursery is None:
        pytest.skip("this system has no pidfd")
    (tmp_path / "says.py").write_text(SAYS)
    environment = {**clean_environment(), "SAID": "so"}
    assert nursery.takes(environment)
    assert not nursery.takes({**environment, "PYTHONPATH": "elsewhere"})
    command = ["python", "-m", "says", "--and", "wait"]
    made = Nursling("says", command, log=tmp_path / "log", environment=environment, directory=tmp_path, nursery=nursery)
    made.start()
    yield made
    made.kill()


async def test_a_forked_program_is_like_one_that_was_started(child: Nursling, tmp_path: Path) -> None:
    """Its arguments, environment, directory, session and log are its own; it dies by a signal, and starts again."""
    await eventually(lambda: child.last_lines().endswith("}"), within=20)
    said = json.loads(child.last_lines())
    assert said["argv"] == ["--and", "wait"]
    assert (said["name"], said["main"], said["session"]) == ("__main__", "says", True)
    assert said["home"] == said["here"] == str(tmp_path)
    assert said["environment"]["SAID"] == "so"
    child.send(signal.SIGTERM)
    assert child.wait(20) == -signal.SIGTERM
    assert not child.running
    first = child.pid
    child.start()
    assert child.pid != first
    assert child.kill() == -signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(child.pid, 0)
