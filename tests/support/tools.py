"""Programs of the system that a test runs, as `scripts/tools` installs them."""

import os
import shutil

import pytest


def tool(name: str) -> str:
    """Return the path of a program; where it is missing, the test is skipped, and fails in continuous integration."""
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        missing = f"{name} is missing: run scripts/tools"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found
