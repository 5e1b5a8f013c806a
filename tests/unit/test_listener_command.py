"""The `listener` command, as far as it gets without a server."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from listener.command import listener
from listener.settings import ListenerSettings


def test_help_tells_the_settings_and_the_exit_codes() -> None:
    """`--help` is worth reading."""
    result = CliRunner().invoke(listener, ["--help"])
    assert result.exit_code == 0
    for field in ("DATABASE_URL", "LISTENER_DATABASE_URL", "REDIS_URL", "CACHE_PREFIX", "LISTENER_HEALTH_PORT"):
        assert f" {field}" in result.output
    assert "Exit codes:\n" in result.output


def test_bad_settings_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A missing and a wrong setting are named, a line each, without secrets; the exit code is 2."""
    monkeypatch.chdir(tmp_path)
    for name in ListenerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    settings = {"LISTENER_DATABASE_URL": "mysql://me:hidden@host/x", "CACHE_MAX_STALENESS_SECONDS": "0.1"}
    result = CliRunner().invoke(listener, [], env=settings)
    assert result.exit_code == 2
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [
        "CACHE_MAX_STALENESS_SECONDS",
        "DATABASE_URL",
        "LISTENER_DATABASE_URL",
    ]
    assert "hidden" not in result.output
