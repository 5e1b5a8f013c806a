"""FastAPI with cashews over Redis and its client-side cache, as its README shows them."""

import json
import os
from pathlib import Path
from typing import Any

from cashews import cache
from fastapi import FastAPI

ROWS = {size: json.loads((Path(os.environ["BENCH_BODIES"]) / f"{size}.json").read_bytes()) for size in ("1k", "50k")}

cache.setup(os.environ["REDIS_URL"], client_side=True)
app = FastAPI()


@app.get("/{size}")
@cache(ttl="1h", key="answer:{size}")
async def answer(size: str) -> dict[str, Any]:
    """Return the rows."""
    rows: dict[str, Any] = ROWS[size]
    return rows
