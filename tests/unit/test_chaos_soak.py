"""What a soak draws, and its picture."""

import asyncio
import re
from random import Random
from types import SimpleNamespace
from typing import cast
from xml.etree import ElementTree as ET

import pytest

from tests.chaos.faults.table import choices, draw
from tests.chaos.oracle import Staleness
from tests.chaos.plot import Curve, plot
from tests.chaos.soak import Soak, watch
from tests.chaos.trial import QUIET
from tests.support.waiting import eventually


def test_the_same_seed_draws_the_same_faults() -> None:
    """So that what was found is found again."""
    drawn = [
        [[each.name for each in draw(random, choices(), 2)] for _ in range(50)] for random in (Random(7), Random(7))
    ]
    assert drawn[0] == drawn[1]
    assert {name for names in drawn[0] for name in names} > {"API paused", "Redis: flushed"}


def test_faults_that_happen_at_once_harm_different_things() -> None:
    """No process is broken in two ways, so that each can be mended."""
    random = Random(1)
    for _ in range(200):
        drawn = draw(random, choices(), 2)
        assert 1 <= len(drawn) <= 2
        harmed = [each for choice in drawn for each in choice.harms]
        assert len(harmed) == len(set(harmed))


def test_a_curve_is_of_the_answers_outdated_for_at_least_so_long() -> None:
    """As a share of all; those that were not outdated are not drawn."""
    staleness = Staleness()
    staleness.add(0.0, 90)
    staleness.add(0.002, 9)
    staleness.add(0.5)
    curve = Curve("faults", staleness)
    assert curve.points == [(0.002, 0.1), (0.5, 0.01)]
    assert Curve("no fault", Staleness()).points == []
    svg = plot("How outdated", [curve, Curve("no fault", Staleness())], 1.0)
    text = "".join(ET.fromstring(svg).itertext())  # noqa: S314 - our own
    assert "faults: of 100, at worst 0.500 s" in text
    assert "no fault" not in text
    assert "10 %" in text


async def test_without_a_terminal_there_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far it is, what was found so far, and what is broken now; nothing that only a terminal understands."""
    monkeypatch.setattr("tests.chaos.soak.LINE_SECONDS", 0.1)
    monkeypatch.setattr("tests.chaos.soak.GLANCE_SECONDS", 0.01)
    oracle = SimpleNamespace(tallies={QUIET: SimpleNamespace(reads=1200, violations=0, staleness=Staleness())})
    trial = SimpleNamespace(begun=True, oracle=oracle, phase="redis-flushed")
    watching = asyncio.create_task(watch(cast("Soak", SimpleNamespace(trial=trial)), 60))
    said = ""

    def look() -> bool:
        nonlocal said
        said += capsys.readouterr().out
        return said.count("\n") >= 3

    await eventually(look)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert all(
        re.fullmatch(r" +\d+ of 60 s  0 of 1,200, worst 0\.00 s: redis-flushed", line) for line in said.split("\n")[:3]
    )
    assert "\x1b" not in said + capsys.readouterr().out
