"""`anomaly-cache doctor` on a Redis with which something is wrong: it has the line, and its remedy heals."""

import shlex
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit, urlunsplit

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis

from anomaly_cache.deployment import Deployment
from anomaly_cache.doctor.finding import Finding, Level
from anomaly_cache.doctor.redis import of_redis
from anomaly_cache.doctor.redis_rights import DOCUMENTED, EXEC, MULTI, needs
from coherence.keys import Names
from coherence.redis_client import connect
from coherence.settings import CoherenceSettings
from tests.acceptance.test_docs_redis_user import PASSWORD, USER, documented_command
from tests.support.own_servers import OwnValkey
from tests.support.proxy import Proxy
from tests.support.waiting import eventually

BALLAST, PIECE = 8 * 2**20, 16 * 2**10
UNASKED = {"+ping", "+select", "+client|setinfo"}
"""Of connections, which a client makes before it says a word of ours; refused, they do no harm, or show at once."""


class Patient:
    """A Redis of our own, `url` by which the doctor comes, and an administrator whom nothing stops."""

    def __init__(self, valkey: OwnValkey, administrator: Redis) -> None:
        self.valkey = valkey
        self.administrator = administrator
        self.url = valkey.url

    async def run(self, *words: str) -> object:
        """Run a command as the administrator."""
        return await self.administrator.execute_command(*words)  # type: ignore[no-untyped-call] # the library's

    async def follow(self, remedy: str | None) -> None:
        """Run the first `redis-cli` of a remedy: up to where it says where else it belongs, or what else would help."""
        line = (remedy or "").split("redis-cli ")[1].split(", ")[0].split(": ")[0]
        await self.run(*shlex.split(line))

    async def findings(self) -> list[Finding]:
        """Return what the doctor says."""
        redis = connect(CoherenceSettings(redis_url=SecretStr(self.url)), connections=2)
        try:
            return await of_redis(Deployment(redis, Names(), 20.0, 2.0))
        finally:
            await redis.aclose()

    async def finds(self, check: str, level: Level, *words: str) -> Finding:
        """Return the finding of a check, which must be of this level and have these words."""
        (finding,) = (each for each in await self.findings() if each.check == check)
        assert finding.level is level, finding
        assert all(word in f"{finding.detail} {finding.remedy}" for word in words), finding
        return finding


@pytest.fixture
async def patient(own_redis: Callable[..., OwnValkey]) -> AsyncIterator[Patient]:
    """A Redis as it should be, but for its user."""
    valkey = own_redis(maxmemory="64mb", maxmemory_policy="allkeys-lru")
    async with Redis.from_url(valkey.url, decode_responses=True) as default:
        words = ("ACL", "SETUSER", "administrator", "on", "nopass", "~*", "&*", "+@all")
        await default.execute_command(*words)  # type: ignore[no-untyped-call] # the library's
    async with Redis.from_url(valkey.url, username="administrator", password="any", decode_responses=True) as client:
        yield Patient(valkey, client)


async def test_memory_disk_place_and_age(patient: Patient) -> None:
    """How it evicts, how full it is, whether it can write to its disk, whether it is the primary, and its version."""
    assert [each.check for each in await patient.findings() if each.level is not Level.OK] == ["redis rights"]

    for policy, words in (
        ("volatile-lru", "without a TTL"),
        ("allkeys-random", "may drop"),
        ("noeviction", "goes off"),
    ):
        await patient.run("CONFIG", "SET", "maxmemory-policy", policy)
        found = await patient.finds("redis eviction", Level.WARNING, policy, words, "maxmemory-policy allkeys-lru")
    await patient.run("DEBUG", "POPULATE", str(BALLAST // PIECE), "ballast", str(PIECE))
    await patient.run("CONFIG", "SET", "maxmemory", str(BALLAST))  # less than what is used already
    await patient.finds("redis memory", Level.FAILING, "of 8 MiB used", "CONFIG SET maxmemory 256mb")
    await patient.follow(found.remedy)
    await patient.finds("redis eviction", Level.OK, "allkeys-lru")
    found = await patient.finds("redis memory", Level.WARNING, "before their TTL ends", "CONFIG SET maxmemory 256mb")
    await patient.follow(found.remedy)
    await patient.finds("redis memory", Level.OK, "of 256 MiB")
    await patient.run("CONFIG", "SET", "maxmemory", "0")
    found = await patient.finds("redis memory", Level.WARNING, "no limit", "maxmemory 256mb")
    await patient.follow(found.remedy)
    await patient.finds("redis memory", Level.OK, "of 256 MiB")

    await patient.run("REPLICAOF", "127.0.0.1", "1")
    await patient.finds("redis", Level.FAILING, "a replica", "set REDIS_URL", "127.0.0.1:1")
    await patient.run("REPLICAOF", "NO", "ONE")

    async with Proxy(patient.url) as proxy:
        proxy.forge = lambda answer: answer.replace(b"redis_version:7", b"redis_version:6")
        patient.url = proxy.url
        await patient.finds("redis", Level.FAILING, "upgrade it to 7")


async def test_a_disk_that_takes_nothing(patient: Patient) -> None:
    """A snapshot that cannot be put in its place, with and without harm; an append-only file on a full disk."""
    in_the_way = patient.valkey.directory / "dump.rdb"
    in_the_way.mkdir()

    async def fails() -> bool:
        info = await patient.administrator.info("persistence")
        return bool(info["rdb_bgsave_in_progress"] == 0 and info["rdb_last_bgsave_status"] == "err")

    async def works() -> bool:
        info = await patient.administrator.info("persistence")
        return bool(info["rdb_last_bgsave_status"] == "ok")

    await patient.run("BGSAVE")
    await eventually(fails)
    await patient.finds("redis persistence", Level.WARNING, "the last snapshot failed", "BGSAVE")
    await patient.run("CONFIG", "SET", "save", "900 1")
    found = await patient.finds("redis persistence", Level.FAILING, "MISCONF", 'CONFIG SET save ""', "make room")
    in_the_way.rmdir()
    await patient.follow(found.remedy)
    await eventually(works)
    await patient.finds("redis persistence", Level.OK, "no AOF")

    files = patient.valkey.directory / "appendonlydir"
    files.mkdir()
    (files / "temp-appendonly.aof.incr").symlink_to("/dev/full")
    await patient.run("CONFIG", "SET", "appendonly", "yes")
    await patient.run("SET", "a", "1")

    async def refuses() -> Finding:
        return await patient.finds("redis persistence", Level.FAILING, "MISCONF", "CONFIG SET appendonly no")

    await eventually(refuses)
    await patient.run("CONFIG", "SET", "appendonly", "no")
    await patient.finds("redis persistence", Level.OK, "no AOF")


async def test_rights(patient: Patient) -> None:
    """Of the documented user: a rule that is taken away is named, and the remedy gives it back; one too many, too."""
    await patient.finds("redis rights", Level.WARNING, "logs in as default", "config|get", DOCUMENTED)
    rules = documented_command()[3:]
    await patient.run(*documented_command())
    parts = urlsplit(patient.valkey.url)
    patient.url = urlunsplit(parts._replace(netloc=f"{USER}:{PASSWORD}@{parts.netloc}"))
    await patient.finds("redis rights", Level.OK, "and no more")
    commands = {rule for rule in rules if rule[0] == "+"} - UNASKED
    asked = {f"+{need.name}" for need in (MULTI, EXEC, *needs(Names()))}
    assert asked == commands
    for rule in sorted(commands - {"+info"}):
        await patient.run("ACL", "SETUSER", USER, f"-{rule[1:]}")
        found = await patient.finds("redis rights", Level.FAILING, f"ACL SETUSER {USER} {rule}")
        await patient.follow(found.remedy)
    for kind, reset in (("~", "resetkeys"), ("&", "resetchannels")):
        there = [rule for rule in rules if rule[0] == kind]
        for rule in there:
            await patient.run("ACL", "SETUSER", USER, reset, *(each for each in there if each != rule))
            found = await patient.finds("redis rights", Level.FAILING, f'ACL SETUSER {USER} "{rule}"')
            await patient.follow(found.remedy)
    await patient.finds("redis rights", Level.OK, "and no more")

    for rule, name in (
        ("+keys", "keys"),
        ("+config|get", "config|get"),
        ("allkeys", "get"),
        ("allchannels", "publish"),
    ):
        await patient.run("ACL", "SETUSER", USER, rule)
        await patient.finds("redis rights", Level.WARNING, USER, name, DOCUMENTED)
    assert await patient.run("DBSIZE") == 0
    await patient.run("ACL", "SETUSER", USER, "-info")
    found = await patient.finds("redis", Level.FAILING, "INFO")
    await patient.follow(found.remedy)
    await patient.finds("redis", Level.OK)

    await patient.run("ACL", "SETUSER", USER, "resetpass", ">another")
    await patient.finds("redis", Level.FAILING, f"does not let {USER} in", "REDIS_PASSWORD")
    patient.valkey.stop()
    await patient.finds("redis", Level.FAILING, "does not answer", "REDIS_URL")
