"""The hit path against the long way: the same bytes in, the same bytes out, the same counts."""

import os

from hypothesis import HealthCheck, Phase, given, settings

from tests.support.hit_path import Side, fast_application, fast_protocol, long_way
from tests.support.streams import Changed, Pass, Read, Step, conversations

EXAMPLES = int(os.environ.get("STREAMS", "60"))
"""Conversations to try: STREAMS=20000 for a long night."""


async def converse(side: Side, steps: list[Step]) -> tuple[bytes, bool, int]:
    """Send on a new connection; return all that came back, whether it was closed, and the requests counted."""
    side.fill()
    side.teach()
    connection = side.connect()
    for step in steps:
        if isinstance(step, bytes):
            connection.wire.arrive(step)
        elif isinstance(step, Read):
            connection.wire.read(step.size)
        elif isinstance(step, Pass):
            side.advance(step.seconds)
        elif isinstance(step, Changed):
            side.change(step.namespace)
        # What is answered before more comes would be a matter of chance.
        await connection.settle()
    closed = connection.wire.closing
    return await connection.end(), closed, connection.state.total_requests


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conversations())
async def test_the_fast_ways_are_the_long_way_to_the_byte(steps: list[Step]) -> None:
    """Whatever is sent, in whatever pieces, however slowly the answers are read, and whatever changes meanwhile."""
    sides = long_way(), fast_application(), fast_protocol()
    seen = [await converse(side, steps) for side in sides]
    assert seen[1] == seen[0]
    assert seen[2] == seen[0]
    counts = [side.counts() for side in sides]
    assert counts[1] == counts[0]
    assert counts[2] == counts[0]


async def test_hits_are_what_is_compared() -> None:
    """Of the conversations that are tried, many have requests that each fast way answers by itself.

    And many have some that are not even parsed.
    """
    hits = {fast_application: 0, fast_protocol: 0}
    unparsed = 0
    conversation = conversations()

    @settings(
        max_examples=40,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(conversation)
    def look(steps: list[Step]) -> None:
        tried.append(steps)

    tried: list[list[Step]] = []
    look()
    for make in hits:
        for steps in tried:
            side = make()
            await converse(side, steps)
            hits[make] += any(any(tally.durations._buckets) for tally in side.hits._metrics._tallies.values())
            unparsed += sum(isinstance(step, bytes) and side.hits.heads.get(step) is not None for step in steps) > 2
    assert min(hits.values()) > len(tried) / 4
    assert unparsed > len(tried) / 4
