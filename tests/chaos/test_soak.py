"""A short soak, so that the long one works when it is asked for."""

from collections.abc import Callable

import pytest

from tests.chaos.fleet import MakeFleet
from tests.chaos.report import Report
from tests.chaos.soak import Soak

SECONDS = 20.0
RATE = 500.0
SEED = 5


@pytest.mark.timeout(300)
@pytest.mark.scenario("random-faults")
async def test_random_faults(make_fleet: MakeFleet, record: Callable[[Report], None]) -> None:
    """Faults drawn at random, some two at once: no answer older than the bound, and all is well after each."""
    fleet = await make_fleet(replicas=3, standbys=1, own_postgres=True, own_redis=True)
    soak = Soak(fleet, seed=SEED, rate=RATE, name="random-faults")
    await soak.run(SECONDS)
    record(soak.trial.report)
    assert soak.done.total() >= 1
    assert soak.trial.report.reads > 1000
