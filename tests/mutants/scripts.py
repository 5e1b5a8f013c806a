"""Lua functions that are weaker in one point: the model's and the real ones."""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

from redis.asyncio import Redis

from coherence.generation import GenerationKey
from tests.model import lua
from tests.mutants.mutant import Catalogue, Gone, edit, scenario, stand_in, test, world

SCRIPTS = Catalogue()

_KEY = test("integration/test_generation.py")
_SAME = test("integration/test_lua_model.py")
"""The model is held against the real scripts."""


def script(name: str, *edits: tuple[str, str]) -> None:
    """Have the real script be another. Raises Gone where it does not have the text that is to go."""
    attribute = f"_{name}"
    weak = (files("coherence") / "lua" / f"{name}.lua").read_text()
    for before, after in edits:
        weak = edit(weak, before, after)

    def make(init: Any, key: GenerationKey, redis: Redis, *rest: Any, **named: Any) -> None:
        init(key, redis, *rest, **named)
        if not hasattr(key, attribute):
            raise Gone(f"GenerationKey has no {attribute}")
        told = getattr(key, attribute)
        told._text, told._digest = weak, hashlib.sha1(weak.encode(), usedforsecurity=False).hexdigest()

    stand_in(GenerationKey, "__init__", make)


def told_again(name: str, weak: Callable[..., Any]) -> None:
    """Have the model's function be another."""
    stand_in(lua, name, weak)


@SCRIPTS.mutant(world("one commit"), scenario("test_listener_pauses.py::test_a_renewal_that_is_held_up"))
def renews_from_now_on() -> None:
    """The lease is relative to now: a listener that was paused gives a whole one."""
    script("renew", ("math.floor(t0 / 1000) + lease", "math.floor(now / 1000) + lease"))
    told_again("renew", lambda renew, key, **asked: renew(key, **{**asked, "t0": asked["now"], "age": 0}))


@SCRIPTS.mutant(_KEY)
def renews_below_the_floor() -> None:
    """A renewal does not mind that Redis has lost what the listener has seen in it."""
    script("renew", (" or generation < floor", ""))
    told_again("renew", lambda renew, key, **asked: renew(key, **{**asked, "floor": 0}))


@SCRIPTS.mutant(_KEY)
def renews_on_any_server() -> None:
    """A renewal does not mind that the server is another than at the proof's beginning."""
    script("renew", ("if ARGV[7] ~= ''", "if false"))
    told_again("renew", lambda renew, key, **asked: renew(key, **{**asked, "same_server": True}))


@SCRIPTS.mutant(_SAME)
def renews_by_any_clock() -> None:
    """A renewal does not mind that Redis' clock is not the one that T0 was read from."""
    script("renew", ("if now - t0 < age - SLACK", "if false"))


@SCRIPTS.mutant(_KEY)
def bumps_hide_what_was_lost() -> None:
    """A bump of a Redis that lost its last writes passes for the next."""
    script("bump", ("if previous < tonumber(ARGV[1]) then previous = 0 end", ""))

    def weak(bump: Any, key: lua.Key, floor: int, fresh: int) -> lua.Bumped:
        bumped: lua.Bumped = bump(key, floor, fresh)
        return bumped._replace(previous=key.generation)

    told_again("bump", weak)


@SCRIPTS.mutant(_SAME)
def bumps_bring_a_lost_key_back() -> None:
    """A bump makes the key where there is none, and with it a lease."""
    script("bump", ("if previous > 0 then", "if true then"))

    def weak(bump: Any, key: lua.Key, floor: int, fresh: int) -> lua.Bumped:
        bumped: lua.Bumped = bump(key, floor, fresh)
        return bumped._replace(key=lua.Key(bumped.generation, key.ends or 2))

    told_again("bump", weak)


@SCRIPTS.mutant(_SAME)
def counts_from_one() -> None:
    """Generations are counted from 1, not made of Redis' time."""
    script("bump", ("math.max(previous, tonumber(ARGV[1]), now) + 1", "math.max(previous, tonumber(ARGV[1])) + 1"))
    script("renew", ("math.max(floor, now) + 1", "math.max(floor, 0) + 1"))
