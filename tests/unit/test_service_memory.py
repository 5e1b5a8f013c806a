"""What the process does with its memory."""

import gc
import weakref

from service.memory import settle


class Ring:
    """Refers to itself, so that only the collector frees it."""

    def __init__(self) -> None:
        self.me = self


def test_the_collector_passes_by_what_is_there_and_still_takes_what_comes() -> None:
    """What is there when the process begins to serve is set apart; garbage made later is found."""
    before = gc.get_threshold()
    try:
        settle()
        assert gc.get_freeze_count() > 1000
        assert gc.isenabled()
        ring = weakref.ref(Ring())
        gc.collect()
        assert ring() is None
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
