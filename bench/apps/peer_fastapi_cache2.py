"""FastAPI with fastapi-cache2 over Redis, as its README shows it."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi_cache import FastAPICache
from fastapi_cache.backends.redis import RedisBackend
from fastapi_cache.decorator import cache
from redis import asyncio as aioredis

ROWS = {size: json.loads((Path(os.environ["BENCH_BODIES"]) / f"{size}.json").read_bytes()) for size in ("1k", "50k")}


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Set the cache up."""
    redis = aioredis.from_url(os.environ["REDIS_URL"])
    FastAPICache.init(RedisBackend(redis), prefix="fastapi-cache")
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/{size}")
@cache(expire=3600)
async def answer(size: str) -> dict[str, Any]:
    """Return the rows."""
    rows: dict[str, Any] = ROWS[size]
    return rows
