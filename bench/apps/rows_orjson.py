"""A page of anomalies read from Postgres as rows and encoded by orjson: what a miss is measured against."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

import orjson
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PAGE = """
SELECT transaction_id, account_id, amount, currency, score, status, reason, detected_at, updated_at,
       merchant, channel, country, device_id, model_version
FROM public.anomalies WHERE score >= %(min_score)s ORDER BY detected_at DESC, transaction_id LIMIT %(limit)s
"""

pool = AsyncConnectionPool(
    os.environ["DATABASE_URL"], min_size=8, max_size=8, open=False, kwargs={"autocommit": True, "row_factory": dict_row}
)


def plain(value: object) -> float:
    """Return what orjson does not know as something that it does."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError


async def answer(request: Request) -> Response:
    """Read a page and encode it."""
    parameters = {name: float(request.query_params[name]) for name in ("min_score", "limit")}
    async with pool.connection() as connection:
        cursor = await connection.execute(PAGE, {**parameters, "limit": int(parameters["limit"])})
        rows = await cursor.fetchall()
    return Response(orjson.dumps({"anomalies": rows, "count": len(rows)}, default=plain), media_type="application/json")


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Keep the pool open."""
    async with pool:
        yield


app = Starlette(routes=[Route("/", answer)], lifespan=lifespan)
