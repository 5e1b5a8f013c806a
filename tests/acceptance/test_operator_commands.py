"""What an operator asks on the command line, of a deployment that runs."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE

from tests.acceptance.system import ANOMALIES, System
from tests.support.processes import ADMIN_KEY, clean_environment
from tests.support.waiting import eventually

Ended = tuple[int, str, str]


async def command(system: System, *words: str, **settings: str) -> Ended:
    """Run `anomaly-cache` against the system; return its exit code, and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "anomaly_cache",
        *words,
        env={**clean_environment(), **system.settings(), **settings},
        stdout=PIPE,
        stderr=PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_replicas_lists_who_is_there_and_forgets_who_is_not(own_system: System) -> None:
    """Each process with what it does; without an active listener the exit code is 1."""
    await own_system.cached()

    async def listed() -> bool:
        code, out, _ = await command(own_system, "replicas", "--json")
        found = json.loads(out)
        states = [(each["kind"], each["state"]) for each in found]
        hits = [each["traffic"]["l1_hits"] > 0 for each in found if each["traffic"]]
        return code == 0 and states == [("api", "serving")] * 2 + [("listener", "active")] and all(hits)

    await eventually(listed, every=0.2)
    code, out, _ = await command(own_system, "replicas")
    header, *rows = (line.split("\t") for line in out.splitlines())
    assert code == 0
    assert {row[header.index("pid")] for row in rows} == {
        str(program.pid) for program in (*own_system.replicas, *own_system.listeners)
    }

    own_system.listeners[0].kill()

    async def gone() -> bool:
        code, out, _ = await command(own_system, "replicas", "--json")
        return code == 1 and [each["kind"] for each in json.loads(out)] == ["api", "api"]

    await eventually(gone, every=0.2)


async def test_who_was_stopped_is_not_listed(own_system: System) -> None:
    """SIGTERM is the end of it: nobody who restarts the fleet looks at processes that have gone."""
    stopped = [own_system.replicas[1], await own_system.start_listener()]

    async def pids() -> set[int]:
        _, out, _ = await command(own_system, "replicas", "--json")
        return {each["pid"] for each in json.loads(out)}

    async def all_there() -> bool:
        return await pids() >= {program.pid for program in stopped}

    await eventually(all_there, every=0.2)
    for program in stopped:
        await program.stop()
        assert program.pid not in await pids()


async def test_replicas_without_redis_or_processes(system: System) -> None:
    """Each is said in a line, with exit code 1."""
    code, _, err = await command(system, "replicas", REDIS_URL="redis://127.0.0.1:1/0")
    assert (code, "Redis does not answer" in err) == (1, True)
    code, out, _ = await command(system, "replicas", CACHE_PREFIX="another:")
    assert (code, "CACHE_PREFIX" in out) == (1, True)
    code, _, err = await command(system, "replicas", REDIS_PORT="many")
    assert (code, "REDIS_PORT" in err) == (2, True)


async def test_watch_tells_how_long_a_change_took_to_each_process(system: System) -> None:
    """One JSON object a change, with its rows and a latency for every API process; SIGTERM ends it well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "anomaly_cache", "watch", "--json"),
        env={**clean_environment(), **system.settings()},
        stdout=PIPE,
        stderr=PIPE,
    )
    assert process.stderr is not None
    assert process.stdout is not None
    assert b"watching" in await process.stderr.readline()
    await system.psql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T1';")
    told = json.loads(await process.stdout.readline())
    process.terminate()
    assert await process.communicate() == (b"", b"")
    assert process.returncode == 0
    assert (told["namespaces"], told["causes"], told["notifications"]) == (["anomalies"], ["update"], 1)
    assert {int(name.rpartition(":")[2]) for name in told["milliseconds"]} == {each.pid for each in system.replicas}
    assert all(late is not None and late >= 0 for late in told["milliseconds"].values())


async def test_explain_says_where_an_answer_is_and_what_ended_it(system: System) -> None:
    """The key, since when, until when, the last change; a wrong query and a refused key are said in a line."""
    query = "status=NEW&limit=2"
    urls = [f"--url={replica.url}" for replica in system.replicas]
    keys = {"API_KEYS": f"analyst=an-analyst-key-of-no-use,admin={ADMIN_KEY}"}
    await system.cached(f"{ANOMALIES}?{query}")
    code, out, _ = await command(system, "explain", query, *urls, **keys)
    assert code == 0
    assert out.count("served from cache   yes") == 2
    assert out.count("in this process (l1)") == 2
    generation = await system.generation()
    await system.psql("UPDATE anomalies SET status = 'CONFIRMED' WHERE transaction_id = 'T1';")
    await system.caught_up(generation)
    code, out, _ = await command(system, "explain", query, urls[0], **keys)
    assert "served from cache   no" in out
    for told in ("outdated by", "last invalidated"):
        (line,) = (line for line in out.splitlines() if told in line)
        assert system.settings()["CACHE_INVALIDATION"] == "namespace" or "the row lies on the page" in line

    code, _, err = await command(system, "explain", "colour=red", urls[0], **keys)
    assert (code, "colour" in err) == (2, True)
    code, _, err = await command(system, "explain", query, urls[0], API_KEYS="admin=no-such-key-here")
    assert (code, "401" in err) == (1, True)
    code, _, err = await command(system, "explain", query, "--url=http://127.0.0.1:1", **keys)
    assert (code, "cannot be asked" in err) == (1, True)
