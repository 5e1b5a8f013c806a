"""/openapi.json against the running API: schemathesis makes requests of it, and holds the answers against it."""

import asyncio
import os
import re
import sys

import pytest

from tests.support.compose_file import ROOT
from tests.support.processes import ADMIN_KEY, ANALYST_KEY, Programs, clean_environment

CONFIGURATION = ROOT / "tests" / "data" / "schemathesis.toml"
EXAMPLES = os.environ.get("SCHEMATHESIS", "")
"""Requests to draw for each operation, beside those that are always made: SCHEMATHESIS=1000 for a long night."""


@pytest.mark.timeout(300 + 20 * int(EXAMPLES or 0))
async def test_the_api_is_what_it_says(programs: Programs, environment: dict[str, str]) -> None:
    """No request that the description allows is refused, none that it forbids is taken, every answer is in it."""
    await programs.listener(wait=True, **environment)
    api = await programs.api(wait=True, **environment)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--no-color", "--config-file", str(CONFIGURATION)),
        *("run", f"{api.url}/openapi.json", *(["--max-examples", EXAMPLES] if EXAMPLES else [])),
        env={**clean_environment(), "PYTHONPATH": str(ROOT), "ANALYST_KEY": ANALYST_KEY, "ADMIN_KEY": ADMIN_KEY},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    wire, _ = await process.communicate()
    said = wire.decode()
    assert process.returncode == 0, said
    for shown in (r"✅  Examples", r"✅  Coverage", r"✅  Fuzzing", r"✅  Stateful", r"API Links: +[1-9]\d* covered"):
        assert re.search(shown, said), said
