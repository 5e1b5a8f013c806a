"""Redis: whether it can be reached, keeps what it should, and allows what the system does."""

from collections.abc import Iterator, Mapping
from typing import Any

from redis.exceptions import NoPermissionError, ResponseError

from anomaly_cache.deployment import Deployment
from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from coherence.keys import Names
from coherence.redis_client import RedisUnavailable, bounded

OLDEST_VERSION = 7
EVICTING = ("allkeys-lru", "allkeys-lfu")
FULL = 0.95
MIB = 2**20


async def of_redis(at: Deployment) -> list[Finding]:
    """Return what there is to say of Redis itself."""
    try:
        async with bounded(at.timeout):
            info = await at.redis.info("everything")
    except RedisUnavailable as error:
        if isinstance(error.__cause__, NoPermissionError):
            return [failing("redis", "its user may not ask for INFO", "allow +info: docs/operations.md has the ACL")]
        return [failing("redis", f"does not answer: {error}", "check REDIS_URL or REDIS_HOST, and that it runs")]
    return [_version(info), *_memory(info), _persistence(info), await _rights(at)]


def _version(info: Mapping[str, Any]) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info["redis_version"])
    if int(str(info["redis_version"]).split(".", 1)[0]) < OLDEST_VERSION:
        return failing("redis", f"{name} {version}", f"upgrade to {OLDEST_VERSION} or newer")
    if info.get("role") not in ("master", "primary"):
        return failing("redis", f"{name} {version}, a replica", "give an address that leads to the primary")
    return ok("redis", f"{name} {version}")


def _memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    used, limit, policy = int(info["used_memory"]), int(info["maxmemory"]), str(info["maxmemory_policy"])
    if limit == 0:
        yield warning(
            "redis memory",
            f"{used / MIB:.0f} MiB used, and no limit: it grows until the machine has no more",
            "CONFIG SET maxmemory, and maxmemory-policy allkeys-lru",
        )
        return
    if policy not in EVICTING:
        yield warning(
            "redis eviction",
            f"{policy}: when it is full it takes no generation either, and the cache goes off",
            "CONFIG SET maxmemory-policy allkeys-lru",
        )
    else:
        yield ok("redis eviction", policy)
    detail = f"{used / MIB:.0f} of {limit / MIB:.0f} MiB used"
    if used >= FULL * limit and policy not in EVICTING:
        yield failing("redis memory", detail, "raise maxmemory")
    elif info.get("evicted_keys", 0) and used >= FULL * limit:
        yield warning("redis memory", f"{detail}: answers are evicted before their TTL ends", "raise maxmemory")
    else:
        yield ok("redis memory", detail)


def _persistence(info: Mapping[str, Any]) -> Finding:
    kinds = [name for name, on in (("AOF", info.get("aof_enabled")),) if on]
    if info.get("rdb_last_bgsave_status") == "err" or info.get("aof_last_write_status") == "err":
        return failing(
            "redis persistence",
            "the last write to disk failed: Redis may refuse all writes (MISCONF)",
            "make room on its disk, or turn persistence off: nothing here relies on it",
        )
    return ok("redis persistence", f"{' and '.join(kinds) or 'no AOF'}; nothing here relies on it")


async def _rights(at: Deployment) -> Finding:
    """Ask whether our user may run the commands of the system, without running them."""
    try:
        async with bounded(at.timeout):
            said = await at.redis.acl_whoami()
            user = said if isinstance(said, str) else said.decode()
            answers = [await at.redis.acl_dryrun(user, *command) for command in _commands(at.names)]
    except RedisUnavailable as error:
        if isinstance(error.__cause__, ResponseError):
            return ok("redis rights", "its user may not look at ACLs; what is refused shows in the metrics")
        return failing("redis rights", f"Redis does not answer: {error}", "try again")
    refused = [
        command[0]
        for command, answer in zip(_commands(at.names), answers, strict=True)
        if answer not in (b"OK", "OK", True)
    ]
    if refused:
        detail = f"the user {user} may not {', '.join(refused)}"
        return failing("redis rights", detail, "give it the ACL of docs/operations.md")
    if user == "default":
        remedy = "make a user of its own: docs/operations.md has the ACL"
        return warning("redis rights", "logs in as `default`, who may do anything", remedy)
    return ok("redis rights", f"{user} may run what it needs")


def _commands(names: Names) -> tuple[tuple[str, ...], ...]:
    entry = names.entry("anomalies:0")
    return (
        ("GET", entry),
        ("SET", entry, "0"),
        ("GETRANGE", entry, "0", "1"),
        ("UNLINK", entry),
        ("PEXPIREAT", names.generation, "0"),
        ("EVALSHA", "0", "1", names.generation),
        ("PUBLISH", names.changes, "0"),
        ("SUBSCRIBE", names.changes),
        ("SCAN", "0"),
    )
