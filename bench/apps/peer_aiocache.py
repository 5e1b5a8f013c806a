"""FastAPI with aiocache over Redis, as its README shows it."""

import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiocache import Cache, cached
from aiocache.serializers import PickleSerializer
from fastapi import FastAPI

ROWS = {size: json.loads((Path(os.environ["BENCH_BODIES"]) / f"{size}.json").read_bytes()) for size in ("1k", "50k")}
REDIS = urlsplit(os.environ["REDIS_URL"])

app = FastAPI()


@cached(
    ttl=3600,
    cache=Cache.REDIS,
    key_builder=lambda _, size: f"answer:{size}",
    serializer=PickleSerializer(),
    endpoint=REDIS.hostname,
    port=REDIS.port,
    namespace="main",
)
async def rows_of(size: str) -> dict[str, Any]:
    """Return the rows."""
    rows: dict[str, Any] = ROWS[size]
    return rows


@app.get("/{size}")
async def answer(size: str) -> dict[str, Any]:
    """Return the rows."""
    return await rows_of(size)
