"""How the tests compare examples with what they print."""

import pytest

from tests.support.compose_file import ROOT
from tests.support.documents import Block, Document
from tests.support.transcripts import Example, examples_of, outputs

SAID = 'HTTP/1.1 200 OK\r\ndate: today\r\netag: "a1"\r\n\r\n{"a": 1, "b": [2]}'


@pytest.mark.parametrize("answer", ["", "HTTP/1.1 200 OK\n", 'HTTP/1.1 200 OK\netag: "…"\n\n{"a": …, "b": […]}\n'])
def test_an_answer_may_leave_out(answer: str) -> None:
    """Whole lines, and the parts in whose place … stands."""
    assert Example("true", answer).differs(SAID) == ""


@pytest.mark.parametrize("answer", ["HTTP/1.1 404…", "etag", 'etag: "…"\nHTTP/1.1 200 OK', '{"a": 2…', '{"b…'])
def test_an_answer_that_differs_is_found(answer: str) -> None:
    """Another line, part of a line, another order, another value."""
    assert Example("true", answer).differs(SAID) != ""


async def test_examples_share_a_shell_and_have_their_own_output() -> None:
    """What one sets the next one has; the scene that the reader sets is not run."""
    page = Document(
        ROOT,
        blocks=[
            Block("sh", "", ["export KEY=none"]),
            Block("sh", "", ["ID=7", 'echo "$KEY"']),
            Block("json", "", ["mine"]),
            Block("python", "", ["x"]),
            Block("sh", "", ["echo $ID"]),
        ],
    )
    examples = examples_of(page)
    assert [example.answer for example in examples] == ["mine\n", ""]
    assert await outputs(examples, {"KEY": "mine"}) == ["mine\n", "7\n"]
    with pytest.raises(AssertionError, match="no such"):
        await outputs([Example("echo no such; false\n", "")], {})
