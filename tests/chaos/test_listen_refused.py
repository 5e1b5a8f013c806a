"""A listener that is led to where LISTEN does not work says so at once, and what to set."""

from pathlib import Path

import pytest

from tests.chaos.fleet import MakeFleet
from tests.support.own_servers import ServerRoom
from tests.support.physical_standby import hot_standby
from tests.support.pooler import transaction_pooler
from tests.support.processes import Programs


async def refused(programs: Programs, **settings: str) -> str:
    """Start a listener, which must end with 1 soon; return why."""
    listener = await programs.listener(wait=False, **settings)
    assert await listener.ended(within=30) == 1
    return str((await listener.logged("postgres is of no use for a listener"))["reason"])


@pytest.mark.quick
@pytest.mark.scenario("listen-through-pooler")
async def test_a_transaction_pooler(make_fleet: MakeFleet, programs: Programs, server_directory: Path) -> None:
    """PgBouncer gives a session's notifications to another client; LISTENER_DATABASE_URL leads past it."""
    fleet = await make_fleet(replicas=0, listeners=0)
    async with transaction_pooler(fleet.database_url, server_directory) as url:
        reason = await refused(programs, **fleet.settings(DATABASE_URL=url))
        assert "PgBouncer: set LISTENER_DATABASE_URL to a URL that leads directly to Postgres" in reason
        direct = fleet.settings(DATABASE_URL=url, LISTENER_DATABASE_URL=fleet.database_url)
        await programs.listener(wait=True, **direct)


@pytest.mark.scenario("listen-on-standby")
async def test_a_standby(make_fleet: MakeFleet, programs: Programs, own_room: ServerRoom) -> None:
    """A hot standby refuses LISTEN; the URL has to lead to the primary, as one with several hosts can."""
    fleet = await make_fleet(replicas=0, listeners=0, own_postgres=True)
    primary = fleet.own_postgres
    standby = hot_standby(own_room, primary, primary.url)
    reason = await refused(programs, **fleet.settings(LISTENER_DATABASE_URL=standby.url))
    assert "hot standby, where LISTEN does not work: point LISTENER_DATABASE_URL at the primary" in reason
    hosts = f"postgresql://postgres@127.0.0.1:{standby.port},127.0.0.1:{primary.port}/postgres"
    assert "target_session_attrs=read-write" in reason
    direct = fleet.settings(LISTENER_DATABASE_URL=f"{hosts}?target_session_attrs=read-write")
    await programs.listener(wait=True, **direct)
