"""How a query becomes a key, and what things are called in Redis."""

import hashlib
import os
import subprocess
import sys
from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coherence.keys import Names, Scalar, cache_key, canonical
from coherence.query import Query

scalars: st.SearchStrategy[Scalar] = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("aé☃\n\"' ")
)
parameters = st.dictionaries(st.text("abcdef_", min_size=1), scalars)

EXAMPLE = "anomalies:" + hashlib.md5(b'{"limit":100,"min_score":0.8,"offset":0,"status":"NEW"}').hexdigest()  # noqa: S324


def test_a_key_is_the_namespace_and_a_digest_of_the_sorted_parameters() -> None:
    """The form of a key is fixed: other programs may compute it."""
    assert cache_key("anomalies", limit=100, offset=0, min_score=0.8, status="NEW") == EXAMPLE
    assert cache_key("anomalies", status="NEW", min_score=0.8, offset=0, limit=100) == EXAMPLE


def test_another_process_makes_the_same_key() -> None:
    """Nothing in a key depends on the process, whatever its hash seed."""
    code = (
        "from coherence.keys import cache_key;"
        "print(cache_key('anomalies', limit=100, offset=0, min_score=0.8, status='NEW'))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == EXAMPLE


def test_equal_values_make_the_same_key() -> None:
    """A whole float and its integer are the same; a parameter that is None is as good as absent."""
    assert cache_key("a", limit=1.0) == cache_key("a", limit=1)
    assert cache_key("a", score=-0.0) == cache_key("a", score=0)
    assert cache_key("a", limit=1, status=None) == cache_key("a", limit=1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 2}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": "1"}),
        ({"a": 1}, {"a": True}),
        ({"a": 0}, {"a": False}),
        ({"a": 0.1}, {"a": 0.10000000000000002}),
        ({"a": "x", "b": "y"}, {"a": "y", "b": "x"}),
        ({"a": 'x","b":"y'}, {"a": "x", "b": "y"}),
        ({"a": ""}, {}),
    ],
    ids=str,
)
def test_different_values_make_different_keys(one: dict[str, Scalar], other: dict[str, Scalar]) -> None:
    """Names, values and types all count."""
    assert Query("a", one).key != Query("a", other).key
    assert Query("a", one) != Query("a", other)


@given(parameters)
def test_the_order_of_parameters_does_not_matter(given_parameters: dict[str, Scalar]) -> None:
    """The text of a query is one, however its parameters came."""
    turned = dict(reversed(list(given_parameters.items())))
    assert canonical(given_parameters) == canonical(turned)
    assert Query("a", given_parameters) == Query("a", turned)
    assert hash(Query("a", given_parameters)) == hash(Query("a", turned))


@given(parameters)
def test_the_text_fits_an_entry_header(given_parameters: dict[str, Scalar]) -> None:
    """It has no line break, whatever the values hold."""
    assert "\n" not in canonical(given_parameters)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    """NaN and the infinities have no place in a key."""
    with pytest.raises(ValueError, match="not JSON compliant"):
        cache_key("a", score=value)


def test_a_query_is_its_namespace_and_its_text() -> None:
    """The same parameters in another namespace are another query, with another key."""
    one, other = Query("a", {"limit": 1}), Query("b", {"limit": 1})
    assert one != other
    assert one.key == cache_key("a", limit=1)
    assert one.key != other.key


def test_a_query_does_not_change_with_the_mapping_it_was_made_of() -> None:
    """It keeps a copy, and the copy is read-only."""
    given_parameters: dict[str, Scalar] = {"limit": 1}
    query = Query("a", given_parameters)
    given_parameters["limit"] = 2
    assert query.parameters == {"limit": 1}
    with pytest.raises(TypeError):
        query.parameters["limit"] = 3  # type: ignore[index] # the type says so too


def test_the_names_of_redis_keys_and_channels() -> None:
    """Operators and other programs know them by these names."""
    names = Names()
    assert names.generation == "coherence:generation"
    assert names.changes == "coherence:changes"
    assert names.acknowledgements == "coherence:acknowledgements:0"
    assert names.entry("anomalies:abc") == "anomalies:abc"
    assert names.entries("anomalies") == "anomalies:*"


def test_every_name_is_behind_the_prefix() -> None:
    """Two deployments in one Redis share no key and no channel; two databases share no acknowledgement."""
    names = Names("blue:", 3)
    assert names.generation == "blue:coherence:generation"
    assert names.changes == "blue:coherence:changes"
    assert names.acknowledgements == "blue:coherence:acknowledgements:3"
    assert names.entry("anomalies:abc") == "blue:anomalies:abc"
    assert names.entries("anomalies") == "blue:anomalies:*"


def test_a_prefix_is_no_pattern() -> None:
    """Characters that mean something in a pattern are taken as they are."""
    pattern = Names("p*[x]?").entries("a^b\\")
    assert pattern == "p\\*\\[x\\]\\?a\\^b\\\\:*"
    assert not fnmatchcase("plainxya^b\\:1", pattern)
