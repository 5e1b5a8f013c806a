"""What is asked of the cache."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from coherence.keys import Scalar, canonical, key_of
from coherence.rows import Scope


@dataclass(frozen=True, slots=True)
class Query:
    """A namespace and the parameters, defaults filled in. Hashable and comparable by its text.

    `scope` says which rows the answer shows, so that a change of others can spare it; None: any change of the
    namespace affects it.
    """

    namespace: str
    parameters: Mapping[str, Scalar] = field(default_factory=dict, compare=False)
    scope: Scope | None = field(default=None, compare=False)
    text: str = field(init=False)
    key: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        text = canonical(self.parameters)
        object.__setattr__(self, "parameters", MappingProxyType(dict(self.parameters)))
        object.__setattr__(self, "text", text)
        object.__setattr__(self, "key", key_of(self.namespace, text))
