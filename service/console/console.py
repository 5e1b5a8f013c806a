"""The console's parts, wired, and where each is."""

from collections.abc import Callable, Iterable

from coherence.clock import Clock
from coherence.coherence import Coherence
from coherence.presence import Presence
from service.auth import admin_only
from service.console.feed import Feed
from service.console.hottest import Hottest
from service.console.state import State
from service.console.stream import EVENTS, Stream
from service.health import Health
from service.pages import CONSOLE
from service.routes.resource import Resource


class Console:
    """One process' console. `feed.run` is to be run, and `feed.close` called when the process is about to stop."""

    def __init__(self, *, coherence: Coherence, health: Health, describe: Callable[[], Presence], clock: Clock) -> None:
        self._coherence = coherence
        self._hottest = Hottest(clock)
        state = State(coherence=coherence, health=health, describe=describe, hottest=self._hottest)
        self.feed = Feed(state, process=coherence.process, watched=self._watched)

    def resources(self) -> Iterable[Resource]:
        """Return what is where. The page holds nothing but itself: all that it shows needs an admin's key."""
        return (
            *CONSOLE.resources(),
            Resource(EVENTS, {"GET": admin_only(Stream(self.feed))}),
        )

    def _watched(self, watched: bool) -> None:
        """Count hits while somebody looks on."""
        self._hottest.forget()
        self._coherence.tell(self._hottest if watched else None)
