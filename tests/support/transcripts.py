"""Examples of the documentation: what a shell says to its commands, beside what the page says."""

import asyncio
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from tests.support.documents import Document

ANSWERS = {"http", "json", "text"}
_END = "\x1e"  # between the output of one example and that of the next
_LEFT_OUT = "…"


@dataclass(frozen=True, slots=True)
class Example:
    """Commands of a page, and the answer that it shows to them; empty where it shows none."""

    commands: str
    answer: str

    def differs(self, said: str) -> str:
        """Return the first line of the answer that the output lacks; empty if it has all of them, in their order."""
        lines = iter(said.splitlines())
        for wanted in filter(None, self.answer.splitlines()):
            pattern = ".*".join(re.escape(part) for part in wanted.split(_LEFT_OUT))
            if not any(re.fullmatch(pattern, line.rstrip()) for line in lines):
                return wanted
        return ""


def examples_of(page: Document) -> list[Example]:
    """Return the page's shell commands, each with the answer that follows; what only sets the scene is left out."""
    examples: list[Example] = []
    for block, following in zip(page.blocks, [*page.blocks[1:], None], strict=True):
        if block.language == "sh" and not block.text.startswith("export "):
            shown = following is not None and following.language in ANSWERS
            examples.append(Example(block.text, following.text if following is not None and shown else ""))
    return examples


async def outputs(examples: list[Example], environment: Mapping[str, str]) -> list[str]:
    """Run the examples one after the other in one shell, as they would be pasted; return what each printed."""
    script = "set -eu\n" + "".join(f"{example.commands}printf '{_END}'\n" for example in examples)
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-c",
        script,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "no_proxy": "127.0.0.1", **environment},
    )
    output, _ = await process.communicate()
    said = output.decode().split(_END)
    assert process.returncode == 0, said[-1]
    return said[:-1]
