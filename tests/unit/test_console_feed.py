"""What open consoles are told, by whom, and when it ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from starlette.types import Message

from coherence.changes import Bump, Change
from coherence.events import Invalidated
from coherence.tasks import end
from coherence.view import Received
from service.console.feed import MOST_CHANGES, MOST_SUBSCRIBERS, MOST_WAITING, REMEMBERED, Feed, Subscriber
from service.console.stream import Stream
from service.problems import Problem
from tests.support.waiting import eventually


class World:
    """A feed that runs, how often it was asked for the state, and whether it believes that somebody looks on."""

    def __init__(self) -> None:
        self.asked = 0
        self.watched: list[bool] = []
        self.feed = Feed(self._state, process="p1", watched=self.watched.append)

    async def _state(self) -> Mapping[str, Any]:
        self.asked += 1
        return {"number": self.asked}

    def change(self, generation: int, received: Received = Received.APPLIED) -> None:
        """Have a change applied."""
        bump = Bump(generation - 1, generation, (Change("anomalies", "update"),), 1000.0)
        self.feed.note(Invalidated(bump, received, 0.0012))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A feed without subscribers."""
    world = World()
    task = asyncio.create_task(world.feed.run())
    yield world
    assert not task.done()
    await end(task)


async def heard(subscriber: Subscriber) -> tuple[str, dict[str, Any]]:
    """Return the name and the data of what a subscriber is told next."""
    event, data, *rest = (await subscriber.frames.get()).decode().split("\n")
    assert rest == ["", ""]
    return event.removeprefix("event: "), json.loads(data.removeprefix("data: "))


async def test_it_rests_while_nobody_looks_on(world: World) -> None:
    """Nothing is counted or asked for before the first comes, nor after the last has gone."""
    await asyncio.sleep(0)
    assert (world.asked, world.watched) == (0, [])
    subscriber = world.feed.join()
    await eventually(lambda: world.asked > 0)
    world.feed.leave(subscriber)
    await eventually(lambda: world.watched == [True, False])


async def test_who_comes_is_told_what_there_is(world: World) -> None:
    """The latest changes first, though nobody looked on, and the state at once; both subscribers the same state."""
    for generation in range(11, 12 + REMEMBERED):
        world.change(generation)
    one, other = world.feed.join(), world.feed.join()
    event, data = await heard(one)
    assert event == "changes"
    assert [change["generation"] for change in data["changes"]] == list(range(12, 12 + REMEMBERED))
    assert data["changes"][0]["milliseconds"] == {"p1": 1.2}
    assert (await heard(other))[0] == "changes"
    assert await heard(one) == await heard(other) == ("state", {"number": 1})


async def test_changes_are_told_as_they_come(world: World) -> None:
    """A gap is a change of everything, an old message is none; of too many at once, the newest are told."""
    subscriber = world.feed.join()
    await heard(subscriber)
    await heard(subscriber)
    world.change(11, Received.OLD)
    world.change(12, Received.GAP)
    event, data = await heard(subscriber)
    assert (event, len(data["changes"])) == ("changes", 1)
    assert (data["changes"][0]["causes"], data["changes"][0]["rows"]) == (["gap"], None)
    for generation in range(20, 20 + MOST_CHANGES + 7):
        world.change(generation)
    told: dict[str, Any] = {}
    while event != "changes" or not told.get("left_out"):
        event, told = await heard(subscriber)
    assert (len(told["changes"]), told["left_out"]) == (MOST_CHANGES, 7)


async def test_there_are_enough_consoles_at_some_point(world: World) -> None:
    """One more is a 503; so is any once the process is about to stop, which ends the others at once."""
    subscribers = [world.feed.join() for _ in range(MOST_SUBSCRIBERS)]
    with pytest.raises(Problem, match="too many consoles"):
        world.feed.join()
    world.feed.leave(subscribers.pop())
    world.feed.close()
    assert all(subscriber.ended.is_set() for subscriber in subscribers)
    with pytest.raises(Problem):
        world.feed.join()


class Client:
    """A client of the stream, which reads `reads` messages, and then no more."""

    def __init__(self, reads: float) -> None:
        self.got: list[Message] = []
        self.gone = asyncio.Event()
        self._reads = reads

    async def send(self, message: Message) -> None:
        """Take a message, when it is read."""
        if len(self.got) >= self._reads:
            await asyncio.Event().wait()
        self.got.append(message)

    async def receive(self) -> Message:
        """Tell of the end of the connection."""
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def test_a_slow_reader_is_dropped_and_holds_nobody_up(world: World) -> None:
    """When too much waits for it; its stream ends, and another's goes on."""
    slow, quick = Client(reads=1), Client(reads=float("inf"))
    stream = Stream(world.feed)
    slowly, quickly = (
        asyncio.create_task(stream({"type": "http", "method": "GET"}, client.receive, client.send))
        for client in (slow, quick)
    )
    await eventually(lambda: len(quick.got) > 2)

    async def dropped() -> bool:
        told = len(quick.got)
        world.change(1000 + told)
        await eventually(lambda: len(quick.got) > told)
        return slowly.done()

    await eventually(dropped)
    assert len(quick.got) > MOST_WAITING
    assert not quickly.done()
    quick.gone.set()
    await quickly


async def test_a_stream_ends_whole_when_the_process_stops(world: World) -> None:
    """The client is told that there is no more, so that it need not take it for a fault."""
    client = Client(reads=float("inf"))
    stream = asyncio.create_task(Stream(world.feed)({"type": "http", "method": "GET"}, client.receive, client.send))
    await eventually(lambda: len(client.got) > 2)
    world.feed.close()
    await stream
    assert client.got[-1] == {"type": "http.response.body", "body": b""}
