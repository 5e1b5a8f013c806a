"""What passes between a load's SELECT, its way into Redis and into a process' memory, and who may share it."""

import pytest

from tests.chaos.fleet import MakeFleet
from tests.chaos.trial import Run


@pytest.mark.quick
@pytest.mark.scenario("nothing")
async def test_nothing_breaks(make_fleet: MakeFleet, run: Run) -> None:
    """Without a fault no answer is old, and both caches serve."""
    fleet = await make_fleet(replicas=2)
    async with run(fleet) as trial:
        await trial.answers(50)
