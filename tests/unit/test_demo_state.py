"""What the demo keeps: private, its own, and one demo at a time."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import anomaly_cache
from anomaly_cache.demo.errors import DemoError
from anomaly_cache.demo.state import STATE, default_directory, forget, held, load_secrets, write_private

HOLD = """
import sys
from pathlib import Path
from anomaly_cache.demo.state import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_secrets_are_made_once_and_only_ours_to_read(tmp_path: Path) -> None:
    """A second demo has the first one's keys; nobody else can read them; no two secrets are alike."""
    made = load_secrets(tmp_path)
    assert load_secrets(tmp_path) == made
    assert (tmp_path / STATE).stat().st_mode & 0o777 == 0o600
    values = list(json.loads((tmp_path / STATE).read_text()).values())
    assert len(set(values)) == len(values)
    assert all(len(value) >= 16 for value in values)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"postgres": 1'])
def test_a_damaged_state_says_how_to_start_over(tmp_path: Path, text: str) -> None:
    """A state file that is not ours is an error with a way out."""
    (tmp_path / STATE).write_text(text)
    with pytest.raises(DemoError, match="--fresh"):
        load_secrets(tmp_path)


def test_a_second_demo_in_one_directory_is_told_of_the_first(tmp_path: Path) -> None:
    """The lock names the process that holds it, and is free again once that ends."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(DemoError, match=f"already, as process {other.pid}"), held(tmp_path):
            pass
        other.kill()
    with held(tmp_path):
        pass


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file in the way is an error with a way out."""
    (tmp_path / "file").touch()
    with pytest.raises(DemoError, match="--state"), held(tmp_path / "file" / "demo"):
        pass


def test_starting_over_removes_nothing_of_others(tmp_path: Path) -> None:
    """Whatever else is in the directory stays."""
    load_secrets(tmp_path)
    for name in ("postgres", "valkey", "logs", "mine"):
        (tmp_path / name).mkdir()
    write_private(tmp_path / "psql", "", mode=0o700)
    (tmp_path / "notes").touch()
    forget(tmp_path, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "notes"]


def test_a_checkout_keeps_its_demo_in_itself() -> None:
    """From a checkout the state is in its .demo."""
    assert default_directory() == Path(anomaly_cache.__file__).parents[1] / ".demo"


def test_an_installed_wheel_keeps_its_demo_in_the_state_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without a checkout the XDG state directory is used, and its default where it is not set."""
    monkeypatch.setattr(anomaly_cache, "__file__", str(tmp_path / "site-packages/anomaly_cache/__init__.py"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert default_directory() == tmp_path / "state/anomaly-cache/demo"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_directory() == tmp_path / "home/.local/state/anomaly-cache/demo"
