"""What things are called in Redis."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

Scalar = str | int | float | bool | None
"""What a query's parameter may be."""


def canonical(parameters: Mapping[str, Scalar]) -> str:
    """Return the one text form of `parameters`: the same for equal values, in every process and after any restart.

    A parameter that is None is left out. Whole floats are written as integers are, so that 1 and 1.0 agree.
    """
    plain = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in parameters.items()
        if value is not None
    }
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def cache_key(namespace: str, **parameters: Scalar) -> str:
    """Return `<namespace>:<md5 of the sorted parameters>`. Raises ValueError for NaN and the infinities.

    MD5 makes a name short, no more: an entry carries its parameters, and is believed only if they are the reader's.
    """
    return key_of(namespace, canonical(parameters))


def key_of(namespace: str, text: str) -> str:
    """Return the cache key of parameters in their canonical form."""
    return f"{namespace}:{hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one deployment's keys and channels, behind its prefix, in its Redis database."""

    prefix: str = ""
    database: int = 0

    @property
    def generation(self) -> str:
        """Key of the leased generation."""
        return f"{self.prefix}coherence:generation"

    @property
    def processes(self) -> str:
        """Key of the set of processes that there are, or were."""
        return f"{self.prefix}coherence:processes"

    def process(self, process: str) -> str:
        """Return the key under which a process says what it does."""
        return f"{self.prefix}coherence:process:{process}"

    @property
    def vouched(self) -> str:
        """Key of the namespaces that the lease is for."""
        return f"{self.prefix}coherence:namespaces"

    @property
    def changes(self) -> str:
        """Channel of the bumps. Redis channels span databases, so a message names the one that it is about."""
        return f"{self.prefix}coherence:changes"

    @property
    def acknowledgements(self) -> str:
        """Channel on which caches say which generation they have. Its subscribers are those who acknowledge."""
        return f"{self.prefix}coherence:acknowledgements:{self.database}"

    def entry(self, key: str) -> str:
        """Return the Redis key of a cache key."""
        return self.prefix + key

    def turn(self, key: str) -> str:
        """Return the Redis key of the turn to load the answer of a cache key."""
        return f"{self.prefix}coherence:turn:{key}"

    def entries(self, namespace: str) -> str:
        """Return the pattern that matches every entry of `namespace`."""
        literal = "".join(f"\\{char}" if char in "*?[]^\\" else char for char in f"{self.prefix}{namespace}")
        return f"{literal}:*"
