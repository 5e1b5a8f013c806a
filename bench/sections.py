"""The parts of the report, and how each is measured: one that fails leaves the others alone."""

import asyncio
import os
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

Advance = Callable[[str], None]
"""Is told what is measured next."""


@dataclass(frozen=True, slots=True)
class Section:
    """One part. `measure(quick, advance)` returns what `render` makes Markdown of, and `charts` SVGs by file name."""

    name: str
    title: str
    measure: Callable[[bool, Advance], Awaitable[dict[str, Any]]]
    render: Callable[[Mapping[str, Any]], str]
    charts: Callable[[Mapping[str, Any]], dict[str, str]] = lambda _: {}


async def run(section: Section, quick: bool, advance: Advance, patience: float) -> dict[str, Any]:
    """Return the section's result, with the seconds it took; or why there is none, under "failed".

    `patience` is how many seconds it may take.
    """
    began = time.monotonic()
    try:
        async with asyncio.timeout(patience):
            result = await section.measure(quick, advance)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told, and the other sections go on
        if os.environ.get("BENCH_TRACE"):
            traceback.print_exc()
        why = f"it took longer than {patience:g} s" if isinstance(error, TimeoutError) else str(error)
        result = {"failed": why or type(error).__name__}
    return {**result, "took": round(time.monotonic() - began, 1)}
