"""Ending tasks for certain, and noticing the end of one that should go on."""

import asyncio
import signal

PATIENCE_SECONDS = 0.1


async def end(*tasks: asyncio.Task[object]) -> None:
    """Cancel `tasks`, again and again until all have ended; what they raise is left in them.

    Once is not enough: before Python 3.12, `asyncio.wait_for` and task groups lose a cancel that comes together with
    what they wait for.
    """
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=PATIENCE_SECONDS)


def end_process(task: asyncio.Task[None]) -> None:
    """End this process, as SIGTERM does: the done callback of a task that goes on unless it fails or is cancelled."""
    if not task.cancelled():
        signal.raise_signal(signal.SIGTERM)
