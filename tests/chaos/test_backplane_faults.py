"""The backplane's messages are lost, late, or stay away: the poll finds out in time."""

import pytest

from tests.chaos.faults.messages import MessagesLate, SubscriberOverflown, SubscriptionsKilled, SubscriptionsSilent
from tests.chaos.fleet import MakeFleet
from tests.chaos.meddling import make_meddled, names_of
from tests.chaos.trial import Run


@pytest.mark.scenario("pubsub-killed")
async def test_subscriptions_that_redis_ends(make_fleet: MakeFleet, run: Run) -> None:
    """CLIENT KILL TYPE pubsub, again and again; and once, with a change of everything before they are back."""
    fleet = await make_fleet(own_redis=True)
    killing = SubscriptionsKilled(fleet.redis)
    async with run(fleet) as trial, trial.fault("killed"):
        async with killing.broken():
            await trial.lasts(2 * fleet.bound)
        await trial.writer.pause()
        for _ in range(3):
            await killing.strike()
            await trial.writer.change_all()
            await trial.lasts(1.5 * fleet.bound)
        trial.writer.resume()


@pytest.mark.quick
@pytest.mark.scenario("pubsub-silent")
async def test_subscriptions_that_fall_silent(make_fleet: MakeFleet, run: Run) -> None:
    """The connections of the subscriptions are black-holed, without a FIN: new ones are made."""
    fleet, proxy = await make_meddled(make_fleet)
    async with run(fleet) as trial, trial.fault("silent"):
        silent = SubscriptionsSilent(proxy)
        async with silent.broken():
            await trial.lasts(3 * fleet.bound)
            assert proxy.subscribers() - silent.silent, "nobody found out"


@pytest.mark.scenario("pubsub-late")
async def test_messages_that_come_five_seconds_late(make_fleet: MakeFleet, run: Run) -> None:
    """Published messages are delayed by 5 s, while polls, L2 and new subscriptions are as fast as ever."""
    fleet, proxy = await make_meddled(make_fleet)
    async with run(fleet) as trial, trial.fault("late"), MessagesLate(proxy, seconds=5.0).broken():
        await trial.lasts(7 * fleet.bound)


@pytest.mark.scenario("pubsub-overflown")
async def test_a_subscriber_that_redis_drops(make_fleet: MakeFleet, run: Run) -> None:
    """A replica is stopped until Redis drops its subscription for its output buffer; then it runs on."""
    fleet = await make_fleet(replicas=1, own_redis=True)
    await fleet.add_api(REDIS_URL=fleet.redis_url)  # past the proxy, which would take for it whatever comes
    async with run(fleet) as trial, trial.fault("overflown", allows={503}):
        stopped = SubscriberOverflown(fleet.redis, fleet.replicas[1], names_of(fleet).changes)
        await trial.writer.pause()
        async with stopped.broken():
            await trial.writer.change_all()  # nobody tells the one that is stopped
            await trial.answers(20, replicas=[0])
        await trial.answers(20)
        await trial.lasts(1.5 * fleet.bound)
        trial.writer.resume()
