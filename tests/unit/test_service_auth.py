"""API keys and what they stand for."""

import pytest
from starlette.types import Message, Receive, Scope, Send

from service.auth import ROLE, Authentication, InvalidKeys, KeyRing, Role, admin_only
from service.problems import Problem

ANALYST = "analyst-key-01234"
ADMIN = "admin-key-0123456"
KEYS = KeyRing.parse(f"analyst={ANALYST},admin={ADMIN}")


def test_several_keys_may_stand_for_a_role() -> None:
    """Keys are rotated by having the old and the new one for a while; blanks and lines do no harm."""
    keys = KeyRing.parse(f" analyst={ANALYST} ,\n admin={ADMIN},\n\nanalyst=another-analyst-key,")
    assert keys.role_of(ANALYST.encode()) is Role.ANALYST
    assert keys.role_of(b"another-analyst-key") is Role.ANALYST
    assert keys.role_of(ADMIN.encode()) is Role.ADMIN


@pytest.mark.parametrize(
    "key", [b"", b"analyst", ANALYST.encode()[:-1], ANALYST.encode() + b" x", ANALYST.upper().encode()]
)
def test_what_is_not_a_key_stands_for_nothing(key: bytes) -> None:
    """A part of a key, or a key and more, is no key."""
    assert KEYS.role_of(key) is None


def test_blanks_around_a_key_are_the_header_s() -> None:
    """RFC 9110 has them be no part of its value."""
    assert KEYS.role_of(b" \t" + ANALYST.encode() + b"\t ") is Role.ANALYST


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "lists no key"),
        (" , ,", "lists no key"),
        ("just-a-key-without-role", "entry 1: expected role=key"),
        (f"analyst={ANALYST},root=secret-secret-secret", "entry 2: the role must be one of analyst, admin"),
        ("analyst=secret-too-shor", "entry 1: a key has at least 16 characters"),
        ("analyst=secret-secret=secret", "entry 1: a key is printable ASCII"),
        ("analyst=secret secret secret", "entry 1: a key is printable ASCII"),
        ("analyst=geheimnis-geheimnis-ä", "entry 1: a key is printable ASCII"),
        (f"analyst={ANALYST},admin={ANALYST}", "entry 2: the same key stands for two roles"),
    ],
)
def test_wrong_lists_are_refused_without_telling_a_key(text: str, reason: str) -> None:
    """The reason names the entry by its number."""
    with pytest.raises(InvalidKeys) as refusal:
        KeyRing.parse(text)
    assert reason in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert ANALYST not in str(refusal.value)


def test_a_ring_does_not_show_its_keys() -> None:
    """Not even to whoever prints it."""
    assert ANALYST not in repr(KEYS)


async def let_through(path: str, *headers: tuple[bytes, bytes], root_path: str = "", guard: bool = False) -> Scope:
    """Send a request through the authentication, and return its scope."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        pass

    async def receive() -> Message:
        raise AssertionError("nobody should read the body")

    async def send(message: Message) -> None:
        raise AssertionError(f"nobody should answer: {message}")

    scope: Scope = {"type": "http", "path": path, "root_path": root_path, "headers": headers}
    await Authentication(admin_only(app) if guard else app, KEYS)(scope, receive, send)
    return scope


async def test_the_role_is_that_of_the_key() -> None:
    """It comes from the key and from no other header."""
    assert (await let_through("/api/v1/x", (b"x-api-key", ANALYST.encode()), (b"user-role", b"admin")))[
        ROLE
    ] is Role.ANALYST
    assert (await let_through("/api/v1/x", (b"x-api-key", ADMIN.encode())))[ROLE] is Role.ADMIN


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/v1/anomalies", "/api/nothing/here"])
@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"x-api-key", b"")],
        [(b"x-api-key", b"wrong-key-0123456789")],
        [(b"x-api-key", ANALYST.encode()), (b"x-api-key", ANALYST.encode())],
        [(b"x-api-key", ANALYST.encode()), (b"x-api-key", ADMIN.encode())],
        [(b"authorization", b"Bearer " + ANALYST.encode())],
    ],
)
async def test_nobody_passes_without_one_good_key(path: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Whatever the path, the answer is a 401 that says how to authenticate."""
    with pytest.raises(Problem) as refusal:
        await let_through(path, *headers)
    assert refusal.value.status == 401
    assert dict(refusal.value.headers)[b"www-authenticate"].startswith(b"ApiKey ")


async def test_a_root_path_leads_nobody_around() -> None:
    """Behind a proxy that adds a prefix, the same paths are guarded."""
    with pytest.raises(Problem):
        await let_through("/behind/api/v1/x", root_path="/behind")


@pytest.mark.parametrize("path", ["/livez", "/metrics", "/", "/apiary"])
async def test_other_paths_need_no_key(path: str) -> None:
    """Health and metrics are for machines without one; a role they do not get."""
    assert ROLE not in await let_through(path)


async def test_some_things_are_for_admins() -> None:
    """An analyst is known, and still may not."""
    await let_through("/api/v1/x", (b"x-api-key", ADMIN.encode()), guard=True)
    with pytest.raises(Problem) as refusal:
        await let_through("/api/v1/x", (b"x-api-key", ANALYST.encode()), guard=True)
    assert refusal.value.status == 403
