"""Wait for a state by looking, with a deadline; never by sleeping and hoping."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast, overload

T = TypeVar("T")


@overload
async def eventually(look: Callable[[], Awaitable[T | None]], within: float = 20.0, every: float = 0.01) -> T: ...
@overload
async def eventually(look: Callable[[], T | None], within: float = 20.0, every: float = 0.01) -> T: ...
async def eventually(
    look: Callable[[], Awaitable[T | None] | T | None], within: float = 20.0, every: float = 0.01
) -> T:
    """Return the first truthy value of `look`; fail with the last one that was looked for after `within` seconds.

    A look that began in time counts, however long it takes. An AssertionError raised by `look` counts as "not yet", and
    is raised if the deadline passes.
    """
    deadline = time.monotonic() + within
    while True:
        began = time.monotonic()
        problem: AssertionError | None = None
        value: T | None = None
        try:
            seen = look()
            value = cast("T | None", await seen if inspect.isawaitable(seen) else seen)
        except AssertionError as error:
            problem = error
        if value:
            return value
        if began > deadline:
            raise problem or AssertionError(f"still {value!r} after {within} s")
        await asyncio.sleep(every)
