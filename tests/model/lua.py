"""What `bump.lua` and `renew.lua` do to the generation key, as pure functions. A test holds them against the scripts.

Times are whole numbers in any one unit. `fresh` is Redis' time as a source of generations, in a unit of its own.
"""

from typing import Literal, NamedTuple


class Key(NamedTuple):
    """The generation key: its value, and when its lease ends; a generation of 0 is no key."""

    generation: int
    ends: int


NO_KEY = Key(0, 0)


class Bumped(NamedTuple):
    """The key after a bump, and the generations in the message of it."""

    key: Key
    previous: int
    generation: int


class Renewed(NamedTuple):
    """The key after a renewal, what became of it, and the generation."""

    key: Key
    outcome: Literal["renewed", "made", "late", "clock", "server"]
    generation: int


def bump(key: Key, floor: int, fresh: int) -> Bumped:
    """Make a new generation; a lease that there is goes on."""
    generation = max(key.generation, floor, fresh) + 1
    after = Key(generation, key.ends) if key.generation else key
    return Bumped(after, key.generation if key.generation >= floor else 0, generation)


def renew(
    key: Key, *, t0: int, age: int, lease: int, floor: int, now: int, fresh: int, same_server: bool = True
) -> Renewed:
    """Give a lease that ends `lease` after `t0`, which was read `age` ago or a little earlier."""
    if not same_server:
        return Renewed(key, "server", floor)
    if now - t0 < age:
        return Renewed(key, "clock", floor)
    ends = t0 + lease
    if ends <= now:
        return Renewed(key, "late", floor)
    if key.generation and key.generation >= floor:
        return Renewed(Key(key.generation, ends), "renewed", key.generation)
    generation = max(floor, fresh) + 1
    return Renewed(Key(generation, ends), "made", generation)
