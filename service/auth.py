"""Who asks: API keys, the roles that they stand for, and the check of every request under /api."""

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from http import HTTPStatus
from typing import Self

from starlette._utils import get_route_path
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problems import Problem
from service.responses import header_values

HEADER = b"x-api-key"
KEY_MIN_LENGTH = 16
ROLE = "anomaly_cache.role"
"""Where in an ASGI scope the role of the request stands."""


class Role(StrEnum):
    """What a key may do. Both roles see the same rows, so their answers may share cache keys."""

    ANALYST = "analyst"
    ADMIN = "admin"


class InvalidKeys(ValueError):  # noqa: N818 - it names what was given
    """The text does not list API keys. The message says where, and never quotes a key."""


def _mac() -> blake2b:
    return blake2b(key=secrets.token_bytes(blake2b.MAX_KEY_SIZE), digest_size=32)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class KeyRing:
    """The known keys, as MACs under a secret that is this ring's own.

    A key is looked up by its MAC. Comparing two MACs takes longer the more of them agrees, but that says nothing of
    how much of the keys does: nobody without the secret can tell a key's MAC, or find keys whose MACs are alike. So
    the time depends on the length of what was presented, and not on the known keys, their number or their order.
    """

    roles: Mapping[bytes, Role]
    mac: blake2b = field(default_factory=_mac)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `role=key,role=key`, parted by commas or lines. Raises InvalidKeys."""
        roles: dict[bytes, Role] = {}
        ring = cls(roles)
        for place, entry in enumerate(entries_of(text), start=1):
            role, key = _entry(place, entry)
            if roles.setdefault(ring._mac_of(key.encode()), role) is not role:
                raise InvalidKeys(f"entry {place}: the same key stands for two roles")
        if not roles:
            raise InvalidKeys("lists no key")
        return ring

    def role_of(self, key: bytes) -> Role | None:
        """Return the role that `key`, as a header has it, stands for; None where it is none."""
        # Blanks at the end of a header's value are no part of it, and the parser leaves them.
        return self.roles.get(self._mac_of(key.strip(b" \t")))

    def _mac_of(self, key: bytes) -> bytes:
        mac = self.mac.copy()
        mac.update(key)
        return mac.digest()


def entries_of(text: str) -> list[str]:
    """Return each `role=key` of a text that parts them by commas or lines."""
    return [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]


def _entry(place: int, entry: str) -> tuple[Role, str]:
    name, equals, key = (part.strip() for part in entry.partition("="))
    if not equals:
        raise InvalidKeys(f"entry {place}: expected role=key")
    if name not in set(Role):
        raise InvalidKeys(f"entry {place}: the role must be one of {', '.join(Role)}")
    if len(key) < KEY_MIN_LENGTH:
        raise InvalidKeys(f"entry {place}: a key has at least {KEY_MIN_LENGTH} characters")
    if "=" in key or not key.isascii() or not key.isprintable() or " " in key:
        raise InvalidKeys(f"entry {place}: a key is printable ASCII without blanks, commas and equals signs")
    return Role(name), key


class Authentication:
    """Lets nobody without a key pass to anything under /api, be it there or not, and notes the key's role."""

    def __init__(self, app: ASGIApp, keys: KeyRing) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or raise the 401 Problem."""
        if scope["type"] == "http":
            path = get_route_path(scope)
            if path == "/api" or path.startswith("/api/"):
                scope[ROLE] = self._authenticate(scope)
        await self._app(scope, receive, send)

    def _authenticate(self, scope: Scope) -> Role:
        given = header_values(scope, HEADER)
        role = self._keys.role_of(given[0]) if len(given) == 1 else None
        if role is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "unauthorized",
                "a valid API key is needed, in one X-API-Key header",
                headers=[(b"www-authenticate", b'ApiKey realm="anomaly-cache", header="X-API-Key"')],
            )
        return role


def admin_only(app: ASGIApp) -> ASGIApp:
    """Return `app`, answering 403 to everybody but admins."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        _demand(scope, (Role.ADMIN,))
        await app(scope, receive, send)

    return guarded


def _demand(scope: Scope, roles: Iterable[Role]) -> None:
    if scope[ROLE] not in roles:
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", f"this needs the role {' or '.join(roles)}")
