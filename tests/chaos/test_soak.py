"""A short soak, so that the long one works when it is asked for."""

from pathlib import Path

import pytest

from tests.chaos.report import Record
from tests.chaos.rig import make_rig
from tests.chaos.soak import Soak

SECONDS = 20.0
RATE = 500.0
SEED = 5


@pytest.mark.timeout(300)
@pytest.mark.scenario("random-faults")
async def test_random_faults(server_directory: Path, record: Record) -> None:
    """Faults drawn at random, some two at once: no answer older than the bound, and all is well after each."""
    directory = server_directory / "soak"
    directory.mkdir(mode=0o711)
    async with make_rig(directory) as rig:
        soak = Soak(rig, seed=SEED, rate=RATE, name="random-faults")
        await soak.run(SECONDS)
    record(soak.trial.report)
    assert soak.done.total() >= 1
    assert soak.trial.report.reads > 1000
