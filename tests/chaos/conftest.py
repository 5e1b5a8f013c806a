"""Fixtures of the scenarios."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.chaos.fleet import Fleet, MakeFleet, Shipyard
from tests.chaos.report import Record, Report
from tests.chaos.trial import Run, Trial
from tests.support.own_servers import ServerRoom
from tests.support.processes import Programs

REPORTS_VARIABLE = "CHAOS_REPORTS"
"""A directory for what the runs find; `make chaos` sets it."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all that is here as chaos, so that `make test` runs but the quick ones; begin with what takes longest."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.chaos)
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture
async def make_fleet(
    programs: Programs, own_room: ServerRoom, migrated_url: str, redis_url: str, cache_prefix: str
) -> AsyncIterator[MakeFleet]:
    """What starts the processes that a scenario breaks, and ends them."""
    async with AsyncExitStack() as stack:
        yield Shipyard(
            programs, own_room, stack, database_url=migrated_url, redis_url=redis_url, prefix=cache_prefix
        ).launch


@pytest.fixture
def record() -> Record:
    """Print a report, and store it where CHAOS_REPORTS says."""

    def take(report: Report) -> None:
        print(report)  # noqa: T201 - pytest shows it with a failure, or with -rA
        directory = os.environ.get(REPORTS_VARIABLE)
        if directory:
            report.store(Path(directory))

    return take


@pytest.fixture
def run(request: pytest.FixtureRequest, record: Record) -> Run:
    """What makes a `Trial` of the test's scenario on a fleet; its report is recorded."""
    marker = request.node.get_closest_marker("scenario")
    assert marker is not None, "a scenario has a name"

    def make(fleet: Fleet, *, seed: int = 1) -> Trial:
        return Trial(fleet, marker.args[0], seed=seed, recorded=record)

    return make
