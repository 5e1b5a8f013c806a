"""pgbench: as many writers as wanted, and none of them written in Python."""

import asyncio
import re
from pathlib import Path

from anomaly_cache.servers.binaries import find_postgres
from bench.errors import BenchError

SCRIPT = """\\set n random(1, :rows)
\\set s random(1, 3)
UPDATE public.anomalies
SET status = (ARRAY['NEW', 'CONFIRMED', 'DISMISSED'])[:s], updated_at = now()
WHERE transaction_id = (SELECT transaction_id FROM public.bench_keys WHERE n = :n);
"""
"""One commit of one row, any of them."""

KEYS = """
CREATE UNLOGGED TABLE public.bench_keys AS
SELECT row_number() OVER (ORDER BY transaction_id)::integer AS n, transaction_id FROM public.anomalies;
ALTER TABLE public.bench_keys ADD PRIMARY KEY (n);
"""
"""What the script needs: a number for each row."""

_RATE = re.compile(r"^tps = ([\d.]+)", re.MULTILINE)


async def commits_per_second(url: str, *, writers: int, seconds: int, rows: int, directory: Path) -> float:
    """Have so many connections commit as fast as they can; return how many commits there were per second.

    Raises BenchError where pgbench fails.
    """
    script = directory / "write.sql"
    script.write_text(SCRIPT)
    process = await asyncio.create_subprocess_exec(
        str(find_postgres().program("pgbench")),
        "--no-vacuum",
        "--protocol=prepared",
        f"--client={writers}",
        f"--time={seconds}",
        f"--define=rows={rows}",
        f"--file={script}",
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    rate = _RATE.search(output.decode())
    if process.returncode != 0 or rate is None:
        raise BenchError(f"pgbench failed: {errors.decode()}{output.decode()}")
    return float(rate[1])
