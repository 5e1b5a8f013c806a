"""The shell in which pages are tried."""

from pathlib import Path

import pytest

from tests.support.page_shell import PageShell
from tests.support.steps import Step


async def test_a_question_that_fails_is_asked_again(tmp_path: Path) -> None:
    """In the same shell, which keeps what it was told; and what fails at last is not hidden."""
    asks = Step("here", "curl -s file://$PWD/it || { echo there >it; false; }\n", "there\n")
    async with PageShell(tmp_path, {}, {}) as reader:
        await reader.do(Step("here", "told=this\n"))
        await reader.do(asks)
        assert (tmp_path / "it").exists()
        await reader.do(Step("here", "echo $told\n", "this\n"))


@pytest.mark.parametrize("script", ["echo said\nfalse\ntrue\n", "(exit 3)\n", "ID=$(exit 1)\n"])
async def test_what_does_more_than_ask_fails_at_once(tmp_path: Path, script: str) -> None:
    """With the place, the exit code and what was printed."""
    with pytest.raises(AssertionError, match="here: exit code"):
        async with PageShell(tmp_path, {}, {}) as reader:
            await reader.do(Step("here", script))
