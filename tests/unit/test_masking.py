"""Settings are shown without their secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from anomaly_cache.masking import HIDDEN, masked


@pytest.mark.parametrize(
    ("secret", "shown"),
    [
        ("postgresql://app:pw@db:5432/shop", f"postgresql://app:{HIDDEN}@db:5432/shop"),
        ("postgresql://app:p@w@db/shop", f"postgresql://app:{HIDDEN}@db/shop"),
        ("postgresql://app:p/w@db/shop", HIDDEN),
        ("postgresql://app@db/shop?sslmode=require", "postgresql://app@db/shop?sslmode=require"),
        ("postgresql://db/shop?user=app&password=pw", f"postgresql://db/shop?user=app&password={HIDDEN}"),
        ("postgresql://[broken:pw@db", HIDDEN),
        ("redis://:pw@cache:6379/0", f"redis://:{HIDDEN}@cache:6379/0"),
        ("host=db user=app password=pw", f"user=app password={HIDDEN} host=db"),
        ("analyst=one-long-secret,admin=another", f"analyst={HIDDEN},admin={HIDDEN}"),
        ("pw", HIDDEN),
    ],
)
def test_a_secret_keeps_what_is_not_secret(secret: str, shown: str) -> None:
    """Addresses, users and roles are shown; passwords and keys never."""
    assert masked(SecretStr(secret)) == shown


@pytest.mark.parametrize(("value", "shown"), [(True, "true"), (60, "60"), ("json", "json"), (2.0, "2.0")])
def test_a_plain_value_is_shown_as_it_is(value: object, shown: str) -> None:
    """What is no secret is printed."""
    assert masked(value) == shown


@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=8))
def test_no_password_is_ever_shown(password: str) -> None:
    """Whatever stands between the colon and the last @ does not come out."""
    shown = masked(SecretStr(f"redis://:{password}~secret~@cache:6379/0"))
    assert "~secret~" not in shown
