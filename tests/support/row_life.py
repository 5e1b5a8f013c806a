"""A world with its cache and its writer, living through random transactions."""

from dataclasses import dataclass
from random import Random

import psycopg
import pytest

from coherence import batch
from coherence.batch import BATCH_ROWS
from tests.support.row_questions import every_kind
from tests.support.row_tally import Tally
from tests.support.row_values import IDS, STATUSES
from tests.support.row_world import row_world
from tests.support.row_writer import COLUMNS, Writer


@dataclass(frozen=True, slots=True)
class Weather:
    """What a world is like."""

    seed: int
    wild: float = 0.0
    """Share of NULLs, infinities and NaNs. Where there are any, notifications tell of changing columns."""
    strange: float = 0.35
    """Share of transactions in sessions with settings of their own."""
    heavy: int = 1
    """How often more is changed than a notification can tell of, in a hundred acts of each kind."""
    kept_changes: int = 4096
    """Changed rows that the cache remembers."""
    at_once: int = 1
    """Most transactions whose changes arrive together."""
    l1_bytes: int = 370_000
    """Too few for all answers, so that some come from L2."""
    batch_rows: int = BATCH_ROWS
    """Changed rows that the cache judges at once, where it can."""


async def live(
    weather: Weather, database_url: str, redis_url: str, prefix: str, *, pairs: int, patch: pytest.MonkeyPatch
) -> Tally:
    """Change rows and look, until so many answers have met a change.

    Raises Outdated if the cache ever gives another answer than the database.
    """
    patch.setattr(batch, "BATCH_ROWS", weather.batch_rows)
    random = Random(weather.seed)
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        writer = Writer(connection, random, wild=weather.wild, strange=weather.strange, heavy=weather.heavy)
        await writer.prepare()
        async with row_world(
            database_url,
            redis_url,
            prefix,
            every_kind(),
            random,
            kept_changes=weather.kept_changes,
            l1_bytes=weather.l1_bytes,
        ) as world:
            await world.check()
            while world.tally.pairs < pairs:
                async with world.held_up(6):
                    for _ in range(random.randint(1, weather.at_once)):
                        await writer.transaction()
                    await world.overlap(5)
                    await world.hear()
                await world.check(writer.log)
                if random.random() < 0.1:
                    await world.set_status(random.choice(IDS), random.choice(STATUSES))
                    await world.check(writer.log)
                if weather.wild and random.random() < 0.2:
                    await writer.tell_of(*random.choices(COLUMNS, weights=(8, 3, 2, 1)))
            return world.tally
