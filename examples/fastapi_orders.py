"""A FastAPI service with a table of its own, whose answers are cached and never quietly old. Copy it, make it yours.

The table is in orders.sql. What the cache needs is marked 1 to 5; all else is FastAPI and psycopg as ever.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from psycopg_pool import AsyncConnectionPool

from coherence import Change, Coherence, CoherenceSettings, Equals, Overloaded, Query, Scope, end_process

ORDERS = "SELECT coalesce(json_agg(o ORDER BY o.id), '[]')::text FROM orders AS o WHERE customer = %s"
SHIP = "UPDATE orders SET shipped = true WHERE id = %s"

pool = AsyncConnectionPool(os.environ["DATABASE_URL"], open=False, kwargs={"autocommit": True})
cache = Coherence(CoherenceSettings.load())  # 1: REDIS_URL and its kin, the same as the listener's


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Open what the service needs; close it at the end."""
    async with pool, cache.running() as following:  # 2: hears of changes, and knows how long it may trust its answers
        following.add_done_callback(end_process)  # it ends by a fault alone: let somebody start us again
        yield


app = FastAPI(title="Orders", lifespan=lifespan)


def orders_of(customer: str) -> Query:
    """3: What is asked, with all that the answer depends on; and which rows it shows, so that others may change."""
    return Query("orders", {"customer": customer}, Scope([Equals("customer", customer)]))


@app.get("/customers/{customer}/orders")
async def orders(customer: str) -> Response:
    """Return a customer's orders."""

    async def load() -> bytes:
        async with pool.connection() as connection:
            cursor = await connection.execute(ORDERS, [customer])
            (text,) = await cursor.fetchone() or ("[]",)
            return str(text).encode()

    answer = await cache.get_or_load(orders_of(customer), load, ttl=60)  # 4: this process, Redis, or load()
    headers = {"ETag": answer.etag, "X-Cache": answer.layer}
    return Response(answer.body, media_type="application/json", headers=headers)


@app.post("/orders/{order}/ship")
async def ship(order: int) -> Response:
    """Ship an order; who reads after our answer sees it, from any process."""
    async with pool.connection() as connection:
        await connection.execute(SHIP, [order])
    await cache.publish([Change("orders", "shipped")])  # 5: optional; without it others know about a millisecond later
    return Response(status_code=204)


@app.exception_handler(Overloaded)
async def overloaded(_: Request, __: Exception) -> Response:
    """Turn away what would wait too long for the database."""
    return Response(status_code=503, headers={"Retry-After": "1"})
