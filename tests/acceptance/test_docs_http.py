"""docs/http.md, tried on a running system."""

from tests.acceptance.system import System
from tests.support.documents import DOCS, read
from tests.support.processes import ADMIN_KEY, ANALYST_KEY
from tests.support.transcripts import examples_of, outputs

PAGE = DOCS / "http.md"


async def test_every_example_answers_as_shown(system: System) -> None:
    """Pasted one after the other, the commands print what the page says; what it leaves out may be anything."""
    examples = examples_of(read(PAGE))
    environment = {"API": system.replicas[0].url, "KEY": ANALYST_KEY, "ADMIN": ADMIN_KEY}
    said = await outputs(examples, environment)
    assert len(said) == len(examples) > 10
    for example, output in zip(examples, said, strict=True):
        assert example.answer, f"no answer is shown to {example.commands}"
        assert not example.differs(output), f"{example.commands}\nprinted\n{output}"
