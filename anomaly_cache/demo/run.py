"""One demo from its start to its end: bring all up, give the tour, follow the invalidations, leave nothing behind."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from anomaly_cache.admin import AdminError
from anomaly_cache.demo import database
from anomaly_cache.demo.errors import DemoError
from anomaly_cache.demo.follow import Follower, describe
from anomaly_cache.demo.programs import Program, died, make_listener, make_replica, stop, until_ready
from anomaly_cache.demo.screen import say, show, width
from anomaly_cache.demo.servers import Servers, make_servers, server_directory
from anomaly_cache.demo.shell import shortened
from anomaly_cache.demo.state import Secrets, forget, held, load_secrets
from anomaly_cache.demo.tour import Places, print_places, print_tour
from anomaly_cache.servers.ports import free_port, next_free_port

REPLICAS = 2
GLANCE_SECONDS = 0.1
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for; `port` is the first replica's."""

    state: Path
    rows: int
    port: int
    fresh: bool


async def run(options: Options) -> None:
    """Run a demo until SIGINT, SIGTERM or SIGHUP; no process of it is left afterwards.

    Raises DemoError, ServerError or AdminError where something does not start, refuses, or ends by itself.
    """
    with held(options.state), _stop_signals() as stopped:
        demo = asyncio.create_task(Demo(options).run())
        asked = asyncio.create_task(stopped.wait())
        await asyncio.wait({demo, asked}, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        demo.cancel()
        with suppress(asyncio.CancelledError):
            await demo


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    """Give an event that is set by the signals that end a demo; a second one changes nothing."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


class Demo:
    """The servers and programs of one demo."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._state = options.state
        self._servers: Servers | None = None
        self._programs: list[Program] = []

    async def run(self) -> None:
        """Bring all up and follow it until cancelled, or until a child dies; ends every child on the way out."""
        try:
            replicas = await self._bring_up()
            await self._follow(replicas)
        finally:
            await stop(self._programs)
            if self._servers is not None:
                self._servers.stop()

    async def _bring_up(self) -> list[Program]:
        began = time.monotonic()
        if self._options.fresh:
            forget(self._state, server_directory(self._state))
        secrets = load_secrets(self._state)
        say(f"Starting Postgres and Valkey in {shortened(self._state)} …")
        servers = self._servers = make_servers(self._state, secrets)
        servers.start()
        try:
            await database.prepare(servers.postgres, secrets, self._options.rows)
        except AdminError as error:
            # Such as a full disk, of which the connection says no more than that it broke.
            raise DemoError(f"{error}\nPostgres' own last lines:\n{servers.postgres.child.last_lines()}") from error
        replicas = await self._start_programs(servers, secrets)
        say(f"Ready after {time.monotonic() - began:.1f} s.")
        places = Places(self._state, [each.url for each in replicas], self._programs[0].url, servers)
        print_places(places, secrets)
        print_tour(places, secrets, await database.newest_transaction(servers.postgres))
        return replicas

    async def _start_programs(self, servers: Servers, secrets: Secrets) -> list[Program]:
        say(f"Starting a listener and {REPLICAS} API replicas …")
        self._start(make_listener(self._state, servers, secrets, free_port()))
        replicas = []
        port = self._options.port
        for number in range(1, REPLICAS + 1):
            free = next_free_port(port)
            if free != port:
                say(f"Port {port} is taken: replica {number} is on {free}.")
            replicas.append(make_replica(self._state, servers, secrets, number, free))
            self._start(replicas[-1])
            port = free + 1
        await until_ready(self._programs)
        return replicas

    def _start(self, program: Program) -> None:
        self._programs.append(program)
        program.child.start()

    async def _follow(self, replicas: list[Program]) -> None:
        logs = {str(each.port): each.child.log for each in replicas}
        # What the start itself invalidated is logged a moment later. Generations are times, in µs.
        follower = Follower(logs, after=time.time_ns() // 1000)
        say()
        say("Invalidations as they reach each replica, with what they took from the listener. Ctrl-C ends the demo.")
        say()
        while True:
            for seen in follower.take(time.monotonic()):
                show(describe(seen, list(logs), width()), indent="")
            self._check()
            await asyncio.sleep(GLANCE_SECONDS)

    def _check(self) -> None:
        """Raise DemoError if anything of the demo has ended."""
        children = [program.child for program in self._programs]
        if self._servers is not None:
            children += [self._servers.postgres.child, self._servers.valkey.child]
        for child in children:
            if not child.running:
                raise died(child)
