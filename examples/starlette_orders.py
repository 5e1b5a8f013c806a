"""The service of fastapi_orders.py in plain Starlette, without the writing. What the cache needs is marked 1 to 4."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from coherence import Coherence, CoherenceSettings, Equals, Overloaded, Query, Scope, end_process

ORDERS = "SELECT coalesce(json_agg(o ORDER BY o.id), '[]')::text FROM orders AS o WHERE customer = %s"

pool = AsyncConnectionPool(os.environ["DATABASE_URL"], open=False, kwargs={"autocommit": True})
cache = Coherence(CoherenceSettings.load())  # 1


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    """Open what the service needs; close it at the end."""
    async with pool, cache.running() as following:  # 2
        following.add_done_callback(end_process)
        yield


async def orders(request: Request) -> Response:
    """Return a customer's orders."""
    customer = request.path_params["customer"]
    query = Query("orders", {"customer": customer}, Scope([Equals("customer", customer)]))  # 3

    async def load() -> bytes:
        async with pool.connection() as connection:
            cursor = await connection.execute(ORDERS, [customer])
            (text,) = await cursor.fetchone() or ("[]",)
            return str(text).encode()

    answer = await cache.get_or_load(query, load, ttl=60)  # 4
    headers = {"ETag": answer.etag, "X-Cache": answer.layer}
    return Response(answer.body, media_type="application/json", headers=headers)


async def overloaded(_: Request, __: Exception) -> Response:
    """Turn away what would wait too long for the database."""
    return Response(status_code=503, headers={"Retry-After": "1"})


app = Starlette(
    routes=[Route("/customers/{customer}/orders", orders)],
    exception_handlers={Overloaded: overloaded},
    lifespan=lifespan,
)
