"""An operator asks why a query is answered from where it is."""

import functools

import httpx2

from service import queries
from tests.acceptance.system import ANOMALIES, System, layer
from tests.support.waiting import eventually

EXPLAIN = "/api/v1/cache/explain"
QUERY = "status=NEW&limit=3"


async def test_explain_tells_what_is_kept_and_what_ends_it(system: System) -> None:
    """Where the entry is, which change it survived and why, and which one ends it and why."""
    url = f"{system.replicas[0].url}{EXPLAIN}?{QUERY}"
    nothing = (await system.admin.get(url)).json()
    assert (nothing["served"], nothing["entry"], nothing["affected_by"]) == (False, None, None)

    await system.cached(f"{ANOMALIES}?{QUERY}")
    kept = (await system.admin.get(url)).json()
    assert kept["served"] is True
    assert kept["entry"]["layer"] == "l1"
    assert kept["parameters"]["limit"] == 3

    generation = await system.generation()
    await system.sql("UPDATE anomalies SET status = 'DISMISSED' WHERE transaction_id = 'T20'")
    await system.caught_up(generation)
    spared = (await system.admin.get(url)).json()
    assert spared["served"] is True
    assert spared["judged"][0]["why"] == "the row lies after the end of the page"
    assert layer(await system.get(0, f"{ANOMALIES}?{QUERY}")) == "l1"

    generation = await system.generation()
    await system.sql("UPDATE anomalies SET status = 'DISMISSED' WHERE transaction_id = 'T1'")
    await system.caught_up(generation)
    ended = (await system.admin.get(url)).json()
    assert ended["served"] is False
    assert ended["affected_by"]["why"] == "the row lies on the page"
    assert ended["affected_by"]["row"]["old"]["transaction_id"] == "T1"
    assert layer(await system.get(0, f"{ANOMALIES}?{QUERY}")) == "db"


async def test_an_answer_is_explained_by_its_key_wherever_one_asks(system: System) -> None:
    """A process that has it not in its memory finds it in Redis, and judges it as its own. It says which one it is."""
    asked = {
        f"{ANOMALIES}?{QUERY}": queries.ANOMALIES.ask(QUERY.encode(), ""),
        f"{ANOMALIES}/T5": queries.ANOMALY.ask(b"", "T5"),
        "/api/v1/transactions/ACC1?limit=2": queries.TRANSACTIONS.ask(b"limit=2", "ACC1"),
    }
    first, second = (f"{replica.url}{EXPLAIN}" for replica in system.replicas)
    for path, query in asked.items():
        await system.get(0, path)
        stored = functools.partial(system.redis.exists, f"{system.prefix}{query.key}")
        await eventually(stored)
        there, elsewhere = [(await system.admin.get(f"{url}/{query.key}")).json() for url in (first, second)]
        assert (there["key"], there["entry"]["layer"], there["served"]) == (query.key, "l1", True)
        assert (elsewhere["key"], elsewhere["entry"]["layer"], elsewhere["served"]) == (query.key, "l2", True)
        assert elsewhere["parameters"] == there["parameters"] == query.parameters
        processes = {told["view"]["process"] for told in (there, elsewhere)}
        assert len(processes) == 2
    for key in ("anomalies:0", f"other:{'0' * 32}", "coherence:generation"):
        assert (await system.admin.get(f"{first}/{key}")).status_code == httpx2.codes.NOT_FOUND


async def test_explain_is_for_admins_and_refuses_what_the_list_refuses(system: System) -> None:
    """An analyst gets a 403; a parameter that the list does not have, a 422 that names it."""
    assert (await system.clients[0].get(EXPLAIN)).status_code == httpx2.codes.FORBIDDEN
    refused = await system.admin.get(f"{system.replicas[0].url}{EXPLAIN}?colour=red")
    assert refused.status_code == httpx2.codes.UNPROCESSABLE_CONTENT
    assert "colour" in refused.text


async def test_a_change_elsewhere_spares_what_it_cannot_change(system: System) -> None:
    """A row of another account, or off the page, leaves cached answers in both replicas; a row on it does not."""
    paths = (f"{ANOMALIES}?account_id=ACC1&limit=2", f"{ANOMALIES}?limit=2&offset=10", f"{ANOMALIES}/T5")
    for path in paths:
        await system.cached(path)
    generation = await system.generation()
    await system.sql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T2'")  # ACC2, third of all
    await system.caught_up(generation)
    for path in paths:
        for replica in (0, 1):
            assert layer(await system.get(replica, path)) == "l1", path
    generation = await system.generation()
    await system.sql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T5'")  # ACC1, its second
    await system.caught_up(generation)
    assert [layer(await system.get(0, path)) for path in paths] == ["db", "l1", "db"]
