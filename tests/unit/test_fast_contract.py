"""Which uvicorn the protocol's hit path was made for."""

from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs
from uvicorn.protocols.http import httptools_impl
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from service.app import create_app
from service.fast import contract
from service.fast.application import Application
from service.fast.protocol import HITS
from service.settings import ServiceSettings
from tests.support.hit_path import SETTINGS


class Renamed(RequestResponseCycle):
    """A cycle that says in other words that it has ended."""

    def __init__(self, *_: Any) -> None:
        self.complete = False


class Widened(HttpToolsProtocol):
    """One that is told more with each head."""

    def on_headers_complete(self, early: bool = False) -> None:
        """See HttpToolsProtocol."""
        del early
        super().on_headers_complete()


class Busier(HttpToolsProtocol):
    """One that has more to do when it is to stop."""

    def shutdown(self) -> None:
        """See HttpToolsProtocol."""
        self.farewells = [self.cycle for _ in self.pipeline]


def other(**parts: Any) -> Any:
    """Return uvicorn's module with other parts."""
    known: dict[str, Any] = {
        "HttpToolsProtocol": HttpToolsProtocol,
        "RequestResponseCycle": RequestResponseCycle,
        "FlowControl": FlowControl,
        "ServerState": ServerState,
    }
    return SimpleNamespace(**{**known, **parts})


def test_the_locked_uvicorn_is_the_one() -> None:
    """Where this fails, read what has changed, and see whether the hit path has to follow."""
    assert contract.differences() == []
    assert contract.differences(other()) == []


@pytest.mark.parametrize(
    ("parts", "difference"),
    [
        ({"RequestResponseCycle": Renamed}, "RequestResponseCycle has no response_complete"),
        ({"HttpToolsProtocol": Widened}, "HttpToolsProtocol.on_headers_complete takes other parameters"),
        ({"HttpToolsProtocol": Busier}, "HttpToolsProtocol.shutdown differs in farewells"),
        ({"FlowControl": object}, "FlowControl has no write_paused"),
        ({"HttpToolsProtocol": None}, "HttpToolsProtocol.data_received takes other parameters"),
    ],
)
def test_another_one_is_told_from_it(parts: dict[str, Any], difference: str) -> None:
    """By what it has, what it takes, and what it does; a part that is missing is no error."""
    assert difference in contract.differences(other(**parts))


def state_of(settings: ServiceSettings) -> tuple[bool, list[str]]:
    """Return whether an application with these settings tells the server of its hits, and the warnings."""
    with capture_logs() as lines:
        application = create_app(settings, on_failure=lambda: None)
    assert isinstance(application, Application)
    return HITS in application._shared, [line["event"] for line in lines if line["log_level"] == "warning"]


def test_auto_is_off_on_another_uvicorn(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says so; `off` is off on any, without a word."""
    off = SETTINGS.model_copy(update={"http_fast_path": "off"})
    assert state_of(SETTINGS) == (True, [])
    assert state_of(off) == (False, [])
    monkeypatch.setattr(httptools_impl, "HttpToolsProtocol", Busier)
    told, warnings = state_of(SETTINGS)
    assert not told
    assert len(warnings) == 1
    assert warnings[0].startswith("HTTP_FAST_PATH is off")
    assert state_of(off) == (False, [])
