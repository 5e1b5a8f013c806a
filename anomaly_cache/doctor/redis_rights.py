"""What our Redis user may run, and whether Redis would do it, without any of it being done."""

from dataclasses import dataclass

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import NoPermissionError, ResponseError

from anomaly_cache.deployment import Deployment
from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from coherence.keys import Names
from coherence.redis_client import bounded
from service.queries import NAMESPACES

DOCUMENTED = "docs/operations.md#which-redis-commands-does-it-need"


@dataclass(frozen=True, slots=True)
class Need:
    """A command that the system runs; `on` is the ACL rule that lets it at its key or channel, where it has one."""

    words: tuple[str, ...]
    on: str | None = None
    parts: int = 1
    """How many of the words name the command."""

    @property
    def name(self) -> str:
        """What ACL rules call the command."""
        return "|".join(self.words[: self.parts]).lower()

    def lacking(self, error: ResponseError) -> str:
        """Return the ACL rule that is missing, by what Redis said: of the command, or of its key or channel."""
        of_target = " key" in str(error) or " channel" in str(error)
        return f'"{self.on}"' if self.on is not None and of_target else f"+{self.name}"


MULTI, EXEC = Need(("MULTI",)), Need(("EXEC",))


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What Redis said to commands that it did not run: to those needed that it would refuse, and to excessive ones."""

    refused: dict[Need, ResponseError]
    excesses: tuple[Need, ...]


async def rehearse(at: Deployment) -> Rehearsal:
    """Ask for all that the system runs, in a transaction that never comes to its end. Raises RedisUnavailable.

    What the user may not run, or Redis would not now, is refused at once; the rest waits for an EXEC, and is dropped.
    """
    connection: AbstractConnection = at.redis.connection_pool.make_connection()  # type: ignore[no-untyped-call] # theirs
    try:
        async with bounded(at.timeout):
            await connection.connect()  # type: ignore[no-untyped-call] # theirs
            refused = await _ask(connection, MULTI)
        if refused:
            return Rehearsal(refused, ())
        async with bounded(at.timeout):
            refused = await _ask(connection, EXEC)
            # Where an EXEC was refused, the transaction may be open still.
            nested = (await _ask(connection, MULTI)).get(MULTI)
        if nested is not None and "nested" not in str(nested):
            return Rehearsal(refused, ())
        async with bounded(at.timeout):
            refused |= await _ask(connection, *needs(at.names))
        async with bounded(at.timeout):
            unknown = excesses(at.names)
            denied = await _ask(connection, *unknown)
            return Rehearsal(refused, tuple(need for need in unknown if need not in denied))
    finally:
        await connection.disconnect(nowait=True)


async def _ask(connection: AbstractConnection, *asked: Need) -> dict[Need, ResponseError]:
    """Return those that are refused, and why."""
    words = [piece for need in asked for piece in connection.pack_command(*need.words)]
    await connection.send_packed_command(words, check_health=False)
    return {need: error for need in asked if (error := await _refusal(connection))}


async def _refusal(connection: AbstractConnection) -> ResponseError | None:
    try:
        await connection.read_response()
    except ResponseError as error:
        return error
    return None


def rights(rehearsal: Rehearsal, user: str) -> Finding:
    """Return whether the user may run what the system runs, and whether more."""
    denied = {
        need: error for need, error in rehearsal.refused.items() if isinstance(error, NoPermissionError) or need is EXEC
    }
    if denied:
        rules = " ".join(dict.fromkeys(need.lacking(error) for need, error in denied.items()))
        names = ", ".join(dict.fromkeys(need.name for need in denied))
        return failing("redis rights", f"the user {user} may not {names}", f"redis-cli ACL SETUSER {user} {rules}")
    if rehearsal.excesses:
        names = ", ".join(dict.fromkeys(need.name for need in rehearsal.excesses))
        return warning(
            "redis rights",
            f"logs in as {user}, who may do more than is needed: {names} of what is not this system's",
            f"make a user of its own, as in {DOCUMENTED}, and set REDIS_USERNAME",
        )
    return ok("redis rights", f"{user} may run what it needs, and no more")


def needs(names: Names) -> tuple[Need, ...]:
    """Return what the API and the listener run beside MULTI and EXEC: each command, each kind of key, each channel.

    None of it would do any harm if it were run.
    """
    prefix = names.prefix
    generation, processes = f"~{prefix}coherence:generation", f"~{prefix}coherence:process*"
    turn, channel = f"~{prefix}coherence:turn:*", f"&{prefix}coherence:acknowledgements:*"
    entries = [(names.entry(f"{namespace}:doctor"), f"~{prefix}{namespace}:*") for namespace in NAMESPACES]
    entry, of_entries = entries[0]
    return (
        *(Need(("GET", key), rule) for key, rule in entries),
        *(Need(("SET", key, "", "XX", "PX", "1"), rule) for key, rule in entries),
        Need(("GETRANGE", entry, "0", "1"), of_entries),
        Need(("UNLINK", entry), of_entries),
        Need(("SET", names.turn("doctor"), "", "XX", "PX", "1"), turn),
        Need(("GET", names.generation), generation),
        Need(("PTTL", names.generation), generation),
        Need(("PEXPIREAT", names.generation, "9999999999999", "LT"), generation),
        Need(("GET", names.vouched), f"~{prefix}coherence:namespaces"),
        Need(("SADD", names.processes, "doctor"), processes),
        Need(("SREM", names.processes, "doctor"), processes),
        Need(("SMEMBERS", names.processes), processes),
        Need(("EXPIRE", names.processes, "3600"), processes),
        Need(("MGET", names.process("doctor")), processes),
        Need(("SUBSCRIBE", names.changes), f"&{prefix}coherence:changes"),
        Need(("PUBLISH", names.acknowledgements, ""), channel),
        Need(("UNSUBSCRIBE", names.changes)),
        Need(("PUBSUB", "NUMSUB", names.acknowledgements), parts=2),
        Need(("EVAL", "return 0", "0")),
        Need(("EVALSHA", "0" * 40, "0")),
        Need(("SCAN", "0")),
        Need(("TIME",)),
        Need(("DBSIZE",)),
        Need(("INFO",)),
    )


def excesses(names: Names) -> tuple[Need, ...]:
    """Return what the system never does."""
    return (
        Need(("CONFIG", "GET", "maxmemory"), parts=2),
        Need(("KEYS", f"{names.prefix}doctor")),
        Need(("GET", f"{names.prefix}doctor"), "~*"),
        Need(("PUBLISH", f"{names.prefix}doctor", ""), "&*"),
    )
