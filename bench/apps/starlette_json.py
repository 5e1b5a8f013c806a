"""Starlette's JSONResponse of rows that are in memory: no cache, and nothing to wait for."""

import json
import os
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

ROWS: dict[str, Any] = {
    size: json.loads((Path(os.environ["BENCH_BODIES"]) / f"{size}.json").read_bytes()) for size in ("1k", "50k")
}


async def answer(request: Request) -> JSONResponse:
    """Encode the rows."""
    return JSONResponse(ROWS[request.path_params["size"]])


app = Starlette(routes=[Route("/{size}", answer)])
