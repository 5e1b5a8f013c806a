"""Redis: whether it can be reached, keeps what it should, and allows what the system does."""

from collections.abc import Iterator, Mapping
from typing import Any

from redis.exceptions import AuthenticationError, NoPermissionError

from anomaly_cache.deployment import Deployment
from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from anomaly_cache.doctor.redis_rights import Rehearsal, rehearse, rights
from coherence.redis_client import RedisUnavailable, bounded

OLDEST_VERSION = 7
EVICTING = ("allkeys-lru", "allkeys-lfu")
FULL = 0.95
MIB = 2**20
KEPT = ", and in its configuration, too"


async def of_redis(at: Deployment) -> list[Finding]:
    """Return what there is to say of Redis itself."""
    user = str(at.redis.connection_pool.connection_kwargs.get("username") or "default")
    try:
        rehearsal = await rehearse(at)
        async with bounded(at.timeout):
            info = await at.redis.info("everything")
    except RedisUnavailable as error:
        return [_silent(error, user)]
    return [_version(info), *_memory(info), _persistence(info, rehearsal), rights(rehearsal, user)]


def _silent(error: RedisUnavailable, user: str) -> Finding:
    match error.__cause__:
        case NoPermissionError():
            return failing("redis", f"the user {user} may not ask for INFO", f"redis-cli ACL SETUSER {user} +info")
        case AuthenticationError():
            remedy = "correct REDIS_USERNAME and REDIS_PASSWORD, or the user and the password in REDIS_URL"
            return failing("redis", f"does not let {user} in: {error.__cause__}", remedy)
    remedy = "start it, or correct REDIS_URL (or REDIS_HOST and REDIS_PORT)"
    return failing("redis", f"does not answer: {error}", remedy)


def _version(info: Mapping[str, Any]) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info["redis_version"])
    if int(str(info["redis_version"]).split(".", 1)[0]) < OLDEST_VERSION:
        return failing("redis", f"{name} {version}", f"upgrade it to {OLDEST_VERSION} or newer")
    if info.get("role") not in ("master", "primary"):
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        remedy = f"set REDIS_URL (or REDIS_HOST and REDIS_PORT) to the primary: {primary}"
        return failing("redis", f"{name} {version}, a replica, which takes no writes", remedy)
    return ok("redis", f"{name} {version}")


def _memory(info: Mapping[str, Any]) -> Iterator[Finding]:
    used, limit, policy = int(info["used_memory"]), int(info["maxmemory"]), str(info["maxmemory_policy"])
    if limit == 0:
        yield warning(
            "redis memory",
            f"{used / MIB:.0f} MiB used, and no limit: it grows until the machine has no more",
            f"redis-cli CONFIG SET maxmemory {_mebibytes(2 * used)}mb maxmemory-policy allkeys-lru{KEPT}",
        )
        return
    evicts = policy in EVICTING
    if evicts:
        yield ok("redis eviction", policy)
    else:
        yield warning(
            "redis eviction",
            f"{policy}: {_drawback(policy)}",
            f"redis-cli CONFIG SET maxmemory-policy allkeys-lru{KEPT}",
        )
    detail = f"{used / MIB:.1f} of {limit / MIB:.0f} MiB used"
    remedy = f"redis-cli CONFIG SET maxmemory {_mebibytes(2 * limit)}mb, and in its configuration, too"
    if used < FULL * limit:
        yield ok("redis memory", detail)
    elif evicts:
        evicted = int(info.get("evicted_keys", 0))
        yield warning("redis memory", f"{detail}: answers go before their TTL ends, {evicted} so far", remedy)
    else:
        yield failing("redis memory", f"{detail}: it takes no answer, and no generation", remedy)


def _drawback(policy: str) -> str:
    if policy == "noeviction":
        return "when it is full it takes no generation either, and the cache goes off"
    if policy.startswith("volatile"):
        return "what others keep without a TTL can fill it, and it takes no generation then"
    return "when it is full it may drop the generation, and all that is cached with it"


def _mebibytes(size: int) -> int:
    """Return `size` in MiB, rounded up to what one would set."""
    return max(256, -(-size // (256 * MIB)) * 256)


def _persistence(info: Mapping[str, Any], rehearsal: Rehearsal) -> Finding:
    aof = bool(info.get("aof_enabled"))
    if any("MISCONF" in str(error) for error in rehearsal.refused.values()):
        setting = "appendonly no" if aof and info.get("aof_last_write_status") == "err" else 'save ""'
        return failing(
            "redis persistence",
            "the last write to disk failed, and so Redis refuses all writes (MISCONF)",
            f"make room on its disk and redis-cli BGSAVE, or redis-cli CONFIG SET {setting}: nothing here relies on it",
        )
    if info.get("rdb_last_bgsave_status") == "err":
        return warning(
            "redis persistence",
            "the last snapshot failed; nothing here relies on it",
            "make room on its disk, and redis-cli BGSAVE",
        )
    return ok("redis persistence", f"{'AOF' if aof else 'no AOF'}; nothing here relies on it")
