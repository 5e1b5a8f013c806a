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


async def test_a_terminated_listening_session(system: System) -> None:
    """pg_terminate_backend of the listener's session with an update in the gap: seen within the bound."""
    await system.cached(PAGE)
    async with await psycopg.AsyncConnection.connect(system.database_url) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name LIKE 'anomaly-cache listener%'"
        )
        await connection.execute("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T0'")
    await shown_by_all(system)
    await system.cached(PAGE)


async def test_a_killed_listener(system: System) -> None:
    """Without a listener the cache turns itself off within the bound; with the next one it is on again."""
    await system.cached(PAGE)
    system.listeners[0].kill()
    await change(system)
    await shown_by_all(system)

    async def bypasses() -> bool:
        return all([layer(await system.get(replica, PAGE)) == "no-lease" for replica in (0, 1)])

    await eventually(bypasses, within=2 * BOUND)
    await system.start_listener()
    await system.cached(PAGE)


async def test_a_stopped_listener(system: System) -> None:
    """SIGSTOP for longer than the lease, a change meanwhile, SIGCONT: nothing old past the bound, then or later."""
    await system.cached(PAGE)
    system.listeners[0].pause()
    await change(system)
    await shown_by_all(system)

    async def bypasses() -> bool:
        return all([layer(await system.get(replica, PAGE)) == "no-lease" for replica in (0, 1)])

    await eventually(bypasses, within=2 * BOUND)
    system.listeners[0].resume()
    await system.cached(PAGE)
    await shown_by_all(system)


async def test_a_standby_serves_soon_after_a_kill(system: System) -> None:
    """A standby serves within a second, and changes are fast again."""
    standby = await system.start_listener()
    await standby.logged("listener standby")
    await system.cached(PAGE)
    system.listeners[0].kill()
    started = time.perf_counter()
    await standby.logged("listener active")
    assert time.perf_counter() - started < 1.0
    await change(system)
    await shown_by_all(system)
    await system.cached(PAGE)


async def test_a_process_restarted_in_the_middle(system: System) -> None:
    """A replica that starts while changes are made never shows what was before its start."""
    await system.cached(PAGE)
    await change(system)
    late = await system.start_replica()
    assert system.replicas[2] is late
    await system.shows(2, PAGE, CONFIRMED, within=0.5)
    await system.cached(PAGE)
