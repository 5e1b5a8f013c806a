"""Ending tasks for certain."""

import asyncio

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
