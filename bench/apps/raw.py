"""Constant bytes: the least that an ASGI application does."""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

Message = MutableMapping[str, Any]

ANSWERS = {
    f"/{size}": (
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
                (b"cache-control", b"max-age=3600"),
            ],
        },
        {"type": "http.response.body", "body": body},
    )
    for size in ("1k", "50k")
    for body in [(Path(os.environ["BENCH_BODIES"]) / f"{size}.json").read_bytes()]
}


async def app(scope: Message, _: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]) -> None:
    """Answer every request to a path with its bytes."""
    start, body = ANSWERS[scope["path"]]
    await send(start)
    await send(body)
