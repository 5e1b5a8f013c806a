"""Processes that are weaker in one point."""

import math
from typing import Any

from anomaly_cache import migrate
from coherence.acknowledgements import Acknowledgements
from coherence.backplane import Backplane
from coherence.changes import Change
from coherence.generation import GenerationKey
from coherence.view import Polled, View
from listener import active
from listener.active import Active
from listener.source import Source
from listener.triggers import Audit
from tests.mutants.mutant import Catalogue, edit, scenario, stand_in, test

PROCESSES = Catalogue()


@PROCESSES.instead_of(Backplane, "_poll_once", scenario("test_listener_pauses.py::test_a_killed_listener"))
async def polls_once(poll_once: Any, backplane: Backplane) -> Polled:
    """No poll: relies on messages alone, once it has begun."""
    view = backplane._view
    if view.valid_until == math.inf:
        return Polled.IN_STEP
    outcome: Polled = await poll_once(backplane)
    if view.valid_until > -math.inf:
        view.valid_until = math.inf
    return outcome


@PROCESSES.instead_of(Source, "fence", test("integration/test_listener_source.py"))
async def fences_nothing(_: Any, source: Source) -> tuple[Change, ...]:
    """No fence: takes what has come so far."""
    return await source.changes(0.0)


class _Late:
    """A source that begins to listen when it is first asked for changes."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._listening = False

    async def listen(self) -> None:
        """Put it off."""

    async def fence(self) -> tuple[Change, ...]:
        """Prove something only of what is listened to."""
        return await self._source.fence() if self._listening else ()

    async def changes(self, timeout: float) -> tuple[Change, ...]:
        """Listen by now."""
        if not self._listening:
            self._listening = True
            await self._source.listen()
        return await self._source.changes(timeout)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


@PROCESSES.instead_of(
    Active, "serve", scenario("test_listen_faults.py::test_a_commit_between_listen_and_the_first_bump")
)
async def listens_after_the_bump(serve: Any, listener: Any) -> None:
    """LISTEN comes after the first bump and the first lease."""
    listener._source = _Late(listener._source)
    await serve(listener)


@PROCESSES.mutant(test("integration/test_listener_loop.py"))
def looks_at_the_triggers_once() -> None:
    """The triggers are not looked at again."""
    seen: list[Audit] = []

    async def look(original: Any, session: Any) -> Audit:
        if not seen:
            seen.append(await original(session))
        return seen[0]

    stand_in(active, "look", look)


@PROCESSES.instead_of(Acknowledgements, "wait", test("unit/test_acknowledgements.py"))
async def awaits_no_acknowledgement(
    _: Any, heard: Acknowledgements, generation: int, *_args: object, **__: object
) -> int:
    """A PUT does not wait for those who acknowledge."""
    return heard.count(generation)


@PROCESSES.instead_of(GenerationKey, "server_id", test("integration/test_generation.py"))
async def knows_no_server(_: Any, key: GenerationKey) -> str:
    """The run id of the Redis server is not compared."""
    del key
    return ""


@PROCESSES.mutant(scenario("test_redis_memory_loss.py::test_a_lease_that_a_clock_prolongs"))
def believes_any_lease() -> None:
    """An overlong lease, and one of a clock that was set back, is believed."""
    stand_in(View, "_overlong", lambda *_: False)
    stand_in(View, "clock_set_back", lambda *_: Polled.CLOCK_SET_BACK)


@PROCESSES.instead_of(migrate, "_apply", scenario("test_changes.py::test_what_changes_nothing_drops_nothing"))
async def announces_what_changes_nothing(apply: Any, connection: Any, name: str) -> None:
    """A statement that touched no row is announced."""
    await apply(connection, name)
    if name == "020_coherence.sql":
        script = (migrate.SCRIPTS / name).read_text()
        await connection.execute(edit(script, "IF amount = 0 THEN", "IF amount < 0 THEN").encode())
