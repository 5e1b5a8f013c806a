"""The listener is killed, stopped or cut off: what replicas answer stays within the bound."""

import asyncio
import time

import psycopg

from tests.acceptance.system import ANOMALIES, System, layer
from tests.support.waiting import eventually

PAGE = f"{ANOMALIES}?limit=3"
BOUND = 2.0
CONFIRMED = [("T0", "CONFIRMED"), ("T1", "NEW"), ("T2", "NEW")]


async def change(system: System) -> None:
    """Commit a change behind the API's back."""
    await system.sql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T0'")


async def shown_by_all(system: System) -> None:
    """Both replicas show the change within the bound."""
    await asyncio.gather(*(system.shows(replica, PAGE, CONFIRMED, within=BOUND) for replica in (0, 1)))


async def test_a_terminated_listening_session(own_system: System) -> None:
    """pg_terminate_backend of the listener's session with an update in the gap: seen within the bound."""
    await own_system.cached(PAGE)
    async with await psycopg.AsyncConnection.connect(own_system.database_url) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'anomaly-cache listener%'"
        )
        await connection.execute("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T0'")
    await shown_by_all(own_system)
    await own_system.cached(PAGE)


async def test_a_killed_listener(own_system: System) -> None:
    """Without a listener the cache turns itself off within the bound; with the next one it is on again."""
    await own_system.cached(PAGE)
    own_system.listeners[0].kill()
    await change(own_system)
    await shown_by_all(own_system)

    async def bypasses() -> bool:
        return all([layer(await own_system.get(replica, PAGE)) == "no-lease" for replica in (0, 1)])

    await eventually(bypasses)
    await own_system.start_listener()
    await own_system.cached(PAGE)


async def test_a_stopped_listener(own_system: System) -> None:
    """SIGSTOP for longer than the lease, a change meanwhile, SIGCONT: nothing old past the bound, then or later."""
    await own_system.cached(PAGE)
    own_system.listeners[0].pause()
    await change(own_system)
    await shown_by_all(own_system)

    async def bypasses() -> bool:
        return all([layer(await own_system.get(replica, PAGE)) == "no-lease" for replica in (0, 1)])

    await eventually(bypasses)
    own_system.listeners[0].resume()
    await own_system.cached(PAGE)
    await shown_by_all(own_system)


async def test_a_standby_serves_soon_after_a_kill(own_system: System) -> None:
    """A standby serves within a second, and changes are fast again."""
    standby = await own_system.start_listener()
    await standby.logged("listener standby")
    await own_system.cached(PAGE)
    own_system.listeners[0].kill()
    started = time.perf_counter()
    await standby.logged("listener active")
    assert time.perf_counter() - started < 2.0
    await change(own_system)
    await shown_by_all(own_system)
    await own_system.cached(PAGE)


async def test_a_process_restarted_in_the_middle(own_system: System) -> None:
    """A replica that starts while changes are made never shows what was before its start."""
    await own_system.cached(PAGE)
    await change(own_system)
    late = await own_system.start_replica()
    assert own_system.replicas[2] is late
    await own_system.shows(2, PAGE, CONFIRMED, within=2.0)
    await own_system.cached(PAGE)


async def test_a_table_that_is_watched_no_more(own_system: System) -> None:
    """Nobody announces its changes any more: within the bound its namespace is not cached, and the others are."""
    path = "/api/v1/transactions/ACC1?limit=2"
    await own_system.cached(path)
    await own_system.psql("SELECT coherence.unwatch('public.transactions');")

    async def bypassed() -> bool:
        return all([layer(await own_system.get(replica, path)) == "no-lease" for replica in (0, 1)])

    await eventually(bypassed, within=BOUND)
    await own_system.cached(PAGE)
    assert await bypassed()
    await own_system.psql("SELECT coherence.watch('public.transactions', 'transactions');")
    await own_system.cached(path)
