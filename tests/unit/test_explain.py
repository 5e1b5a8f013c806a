"""What `anomaly-cache explain` says of an entry, in words."""

from anomaly_cache.explain import lines
from service.openapi.answers import EXAMPLES

NOW = 1_769_862_600.0
EXPLAINED = EXAMPLES["CacheExplanation"]


def said(seconds_left: float, *, outdated: bool) -> str:
    """Return until when an entry is kept."""
    entry = {**EXPLAINED["entry"], "ttl_seconds_left": seconds_left}
    affected_by = EXPLAINED["affected_by"] if outdated else None
    return dict(lines({**EXPLAINED, "entry": entry, "affected_by": affected_by}, NOW))["until"]


def test_an_entry_that_no_change_affects_may_yet_be_affected() -> None:
    """Until its time is over."""
    assert said(47.8, outdated=False).endswith(" (47.8 s from now), unless a change affects it")


def test_an_outdated_entry_is_kept_all_the_same() -> None:
    """It is affected already."""
    assert said(47.8, outdated=True).endswith(" (47.8 s from now)")


def test_what_is_over_does_not_end_now() -> None:
    """An entry stays in memory past its time, until somebody asks for it."""
    assert said(0.0, outdated=False) == said(0.0, outdated=True) == "its time is over"
