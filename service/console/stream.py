"""The stream of server-sent events that an open console reads."""

import asyncio
from contextlib import suppress
from time import perf_counter

from starlette.types import Receive, Scope, Send

from coherence.tasks import end
from service.boundary import ANSWERED
from service.console.feed import Feed, Subscriber
from service.responses import NO_STORE

EVENTS = "/api/v1/console/events"

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    NO_STORE,
    # nginx would gather what it passes on.
    (b"x-accel-buffering", b"no"),
]

GOODBYE_SECONDS = 1.0


class Stream:
    """The ASGI handler of GET: one subscriber of `feed`, until it goes, is too slow, or the process stops."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a GET. Raises the 503 Problem where there are enough subscribers."""
        if scope["method"] == "HEAD":
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            await send({"type": "http.response.body", "body": b""})
            return
        subscriber = self._feed.join()
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            # What follows is no part of how long the answer took.
            scope[ANSWERED] = perf_counter()
            await self._stream(subscriber, receive, send)
        finally:
            self._feed.leave(subscriber)

    async def _stream(self, subscriber: Subscriber, receive: Receive, send: Send) -> None:
        sending = asyncio.create_task(_send_all(subscriber, send), name="console-sending")
        gone = asyncio.create_task(_until_gone(receive), name="console-receiving")
        ended = asyncio.create_task(subscriber.ended.wait(), name="console-ended")
        try:
            await asyncio.wait((sending, gone, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(sending, gone, ended)
        # One that is too slow for its frames is too slow for this, too: then the server ends the connection.
        with suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE_SECONDS):
                await send({"type": "http.response.body", "body": b""})


async def _send_all(subscriber: Subscriber, send: Send) -> None:
    while True:
        await send({"type": "http.response.body", "body": await subscriber.frames.get(), "more_body": True})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
