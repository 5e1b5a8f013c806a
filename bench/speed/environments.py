"""Environments of their own for the applications beside ours, each with what its list pins."""

import asyncio
import hashlib
import sys
from pathlib import Path

from bench.errors import BenchError

APPS = Path(__file__).parents[1] / "apps"
HOME = Path(__file__).parents[2] / ".bench"
"""What was installed stays here, for the next time."""


async def environment(name: str) -> Path:
    """Return the Python of the environment for `bench/apps/<name>.txt`, made if need be. Raises BenchError."""
    pins = (APPS / f"{name}.txt").read_text()
    digest = hashlib.sha256(f"{sys.version}\n{pins}".encode()).hexdigest()[:12]
    home = HOME / f"{name}-{digest}"
    python = home / "bin" / "python"
    if not (home / "made").exists():
        await _run("venv", "--quiet", "--clear", "--python", sys.executable, str(home))
        await _run("pip", "install", "--quiet", "--python", str(python), "-r", str(APPS / f"{name}.txt"))
        (home / "made").touch()
    return python


async def _run(*arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "uv", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        raise BenchError(f"uv {arguments[0]} failed: {output.decode(errors='replace').strip()[-300:]}")
