"""Background tasks that nobody awaits: one that dies is noticed."""

import asyncio
from collections.abc import Callable
from typing import Any

import structlog


class Supervision:
    """Watches tasks. When the first one fails, `on_failure` is called; `failed` names it from then on."""

    def __init__(self, on_failure: Callable[[], None]) -> None:
        self._on_failure = on_failure
        self._log: structlog.stdlib.BoundLogger = structlog.get_logger("service")
        self._stopping = False
        self.failed: str | None = None

    def watch(self, task: asyncio.Task[Any], *, may_end: bool = False) -> None:
        """Take notice when `task` fails, is cancelled or, unless it `may_end`, ends."""

        def ended(task: asyncio.Task[Any]) -> None:
            error = None if task.cancelled() else task.exception()
            if self._stopping or (may_end and error is None and not task.cancelled()):
                return
            self._log.error("background task died", task=task.get_name(), exc_info=error)
            if self.failed is None:
                self.failed = task.get_name()
                self._on_failure()

        task.add_done_callback(ended)

    def stop(self) -> None:
        """Whatever ends from now on has been ended."""
        self._stopping = True
