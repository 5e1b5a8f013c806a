"""Faults on real processes, and the oracle that says whether an answer was too old.

    oracle.py   what was committed, what was answered, and the verdict. No I/O
    fleet.py    the processes, each with its own faulty links to Postgres and to Redis
    writer.py readers.py   who commits, and who asks every replica
    trial.py    one run: quiet, fault, healed; fails where the promise was broken
    report.py   what a run found, in words and as JSON

A scenario is a test that is called by a name, which has a line in docs/guarantees.md:

    @pytest.mark.scenario("pubsub-killed")
    async def test_a_killed_subscription(make_fleet: MakeFleet, run: Run) -> None:
        fleet = await make_fleet(replicas=2, own_redis=True)
        async with run(fleet) as trial:             # has begun, and seen hits from L1 and L2
            async with trial.fault("killed"):       # on leaving: converges, and has hits again
                await fleet.redis.client_kill_filter(_type="pubsub")
                await trial.lasts(2 * fleet.bound)

`make chaos` runs them all; those marked `quick` are a part of `make test`.
"""
