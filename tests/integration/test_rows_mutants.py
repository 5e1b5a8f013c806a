"""The property has teeth: each of these weakened builds gives an outdated answer, and is caught at it."""

from collections.abc import Callable
from dataclasses import dataclass

import psycopg
import pytest

from coherence.rows import AtLeast, RowChange, Verdict
from tests.support.row_life import Weather, live
from tests.support.row_mutants import (
    NOBODY,
    Weakening,
    batch_values,
    forgetting,
    joined_whatever_changed,
    judged_since,
    judging,
    judging_behind,
    last_row_but_one,
    matching,
    matching_nothing,
    most_rows_of_a_bump,
    placing,
    reading,
    remembered_as_spared,
    stamp_after_load,
    taken_for,
    without_level,
    without_start,
)
from tests.support.row_tally import Outdated

MOST_PAIRS = 25_000
"""As many as a world of the property sees. Most mutants are caught within a tenth of that."""

PLAIN = Weather(seed=11)
WILD = Weather(seed=12, wild=0.05)
WILDER = Weather(seed=12, wild=0.2)
FORGETFUL = Weather(seed=13, kept_changes=20, batch_rows=4, l1_bytes=200_000)
BATCHES = Weather(seed=14, batch_rows=3)
HEAVY = Weather(seed=15, heavy=10)
ROOMY = Weather(seed=17, l1_bytes=1_000_000)
STRANGE = Weather(seed=16, strange=0.9)


@dataclass(frozen=True, slots=True)
class Mutant:
    """A build that is weaker in one point: `patch` weakens the code, `sql` the triggers.

    What makes it give an outdated answer may be `rare`, and finding it take long.
    """

    patch: Weakening = lambda _: None
    sql: str = ""
    weather: Weather = PLAIN
    rare: bool = False


ANNOUNCE = "ALTER FUNCTION coherence.announce()"
TRIGGER = "ALTER TABLE public.anomalies DISABLE TRIGGER"

MUTANTS = {
    "the old row is ignored": Mutant(
        judging(lambda judge, scope, change, page: judge(scope, RowChange(None, change.new), page))
    ),
    "a row between the cursor and the page counts as before it": Mutant(
        judging_behind(lambda judge, scope, *args: judge(without_start(scope), *args)), rare=True
    ),
    "a row that is level with the cursor counts as before it": Mutant(
        judging_behind(lambda judge, scope, change, page: judge(scope, without_level(scope, change), page))
    ),
    "a row that was before the cursor stays there": Mutant(
        judging_behind(
            lambda judge, scope, change, page: (
                Verdict.AHEAD
                if change.new and judge(scope, RowChange(change.old, None), page) is Verdict.AHEAD
                else judge(scope, change, page)
            )
        ),
        rare=True,
    ),
    "the new row is ignored": Mutant(
        judging(lambda judge, scope, change, page: judge(scope, RowChange(change.old, None), page))
    ),
    "the page ends a row early": Mutant(last_row_but_one),
    "ties with the last row are after it": Mutant(
        placing(lambda found, value, page: 1 if value == page.last else found)
    ),
    "ties with the first row are before it": Mutant(
        placing(lambda found, value, page: -1 if value == page.first else found)
    ),
    "a row that comes before the page leaves it as it is": Mutant(taken_for(Verdict.SHIFTS, Verdict.OFF_PAGE)),
    "a page with room takes no row": Mutant(taken_for(Verdict.NOT_FULL, Verdict.BEYOND)),
    "an empty page stays empty": Mutant(
        judging(
            lambda judge, scope, change, page: (
                Verdict.STILL_EMPTY if page and page.empty else judge(scope, change, page)
            )
        )
    ),
    "a change on the page is none": Mutant(taken_for(Verdict.ON_PAGE, Verdict.OFF_PAGE)),
    "the score must exceed the limit": Mutant(
        matching(AtLeast, lambda found, value, wanted: False if value == wanted else found)
    ),
    "scores are compared to six digits": Mutant(
        matching(AtLeast, lambda found, value, wanted: round(value, 6) > round(wanted, 6) if found else found)
    ),
    "NULL and what is missing match nothing": Mutant(matching_nothing(lambda value: value is None), weather=WILD),
    "what cannot be compared matches nothing": Mutant(
        matching_nothing(lambda value: value is not None), weather=WILDER
    ),
    "what cannot be placed is after the page": Mutant(
        placing(lambda found, *_: 1 if found is None else found), weather=WILD
    ),
    "what cannot be placed is before the page": Mutant(
        placing(lambda found, *_: -1 if found is None else found), weather=WILD
    ),
    "an overflow is ignored": Mutant(
        reading(lambda document, rows: NOBODY if "overflow" in document else rows), weather=HEAVY, rare=True
    ),
    "a TRUNCATE is ignored": Mutant(
        reading(lambda document, rows: NOBODY if document["op"] == "truncate" else rows), weather=HEAVY, rare=True
    ),
    "only the first row of a statement counts": Mutant(reading(lambda _, rows: rows and rows[:1])),
    "a bump of too many rows tells of some": Mutant(most_rows_of_a_bump, rare=True),
    "forgotten rows are ignored": Mutant(forgetting, weather=FORGETFUL, rare=True),
    "a batch is summed up by its new rows": Mutant(batch_values(lambda change: (change.new,)), weather=BATCHES),
    "a batch is summed up by its old rows": Mutant(batch_values(lambda change: (change.old,)), weather=BATCHES),
    "an answer is stamped after its load": Mutant(stamp_after_load, rare=True),
    "an entry of L2 is judged from now on": Mutant(
        judged_since(lambda cache, entry, judged: cache._view.generation if judged == entry.stamp else judged)
    ),
    "an affected entry counts as judged": Mutant(remembered_as_spared, weather=ROOMY, rare=True),
    "a request joins any load": Mutant(joined_whatever_changed, rare=True),
    "scores are told by the writer's digits": Mutant(
        sql=f"{ANNOUNCE} RESET extra_float_digits", weather=STRANGE, rare=True
    ),
    "functions are found by the writer's path": Mutant(sql=f"{ANNOUNCE} RESET search_path", weather=STRANGE),
    "replicated rows are not told of": Mutant(sql=f"{TRIGGER} coherence_replica", weather=STRANGE),
    "truncation is not told of": Mutant(sql=f"{TRIGGER} coherence_truncate", weather=HEAVY, rare=True),
}


@pytest.mark.mutants
@pytest.mark.parametrize(
    "mutant",
    [pytest.param(each, id=name, marks=[] if each.rare else pytest.mark.quick) for name, each in MUTANTS.items()],
)
async def test_a_weakened_build_is_caught(
    mutant: Mutant,
    migrated_url: str,
    redis_url: str,
    cache_prefix: str,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Callable[[str, object], None],
) -> None:
    """The property fails for it."""
    if mutant.sql:
        async with await psycopg.AsyncConnection.connect(migrated_url, autocommit=True) as connection:
            await connection.execute(mutant.sql.encode())
    mutant.patch(monkeypatch)
    with pytest.raises(Outdated) as caught:
        await live(mutant.weather, migrated_url, redis_url, cache_prefix, pairs=MOST_PAIRS, patch=monkeypatch)
    print(f"caught after {caught.value.pairs} pairs")  # noqa: T201 - a figure to be seen
    record_property("pairs", caught.value.pairs)
