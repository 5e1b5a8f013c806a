"""Readers in a process of their own, for millions of reads."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import Mapping, Sequence
from random import Random

from tests.chaos.oracle import Read, Target
from tests.chaos.readers import Asked, Failure, Readers
from tests.chaos.reading_process import KEPT_PAGES, LENGTHS, RECORD

BATCH = 2000
"""How many answers are judged at a stretch."""


class FastReaders(Readers):
    """As `Readers`, but `rate` reads a second, all replicas together, and answers that come to `asked` in batches."""

    def __init__(
        self, targets: Sequence[Target], random: Random, pace: float, asked: Asked, *, rate: float, seed: int
    ) -> None:
        super().__init__(targets, random, pace, asked)
        self._arguments = {"rate": rate, "seed": seed}
        self._ports: list[int] = []
        self._pages: dict[int, Mapping[str, int]] = {}
        self._layers: list[str] = []

    def read(self, replica: int, port: int) -> None:
        """Ask a replica, once `go_around` is called."""
        assert replica == len(self._ports)
        self._ports.append(port)

    def go_around(self) -> None:
        """Begin to ask."""
        self.tasks.append(asyncio.create_task(self._listen()))

    async def _listen(self) -> None:
        arguments = json.dumps({**self._arguments, "ports": self._ports})
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.reading_process", arguments, stdout=PIPE
        )
        assert process.stdout is not None
        try:
            while True:
                lengths = LENGTHS.unpack(await process.stdout.readexactly(LENGTHS.size))
                document, records = [await process.stdout.readexactly(length) for length in lengths]
                self._learn(document)
                await self._pass_on(records)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def _learn(self, document: bytes) -> None:
        new = json.loads(document)
        self._layers += new["layers"]
        self._pages.update(new["pages"])
        for page in list(self._pages)[: -2 * KEPT_PAGES]:
            del self._pages[page]
        for replica, target, started, ended, status, body in new["failures"]:
            self._asked(Failure(replica, self._targets[target], started, ended, status, body))

    async def _pass_on(self, records: bytes) -> None:
        for count, (replica, target, layer, page, started, ended) in enumerate(RECORD.iter_unpack(records)):
            self._asked(Read(replica, self._targets[target], started, ended, self._layers[layer], self._pages[page]))
            if count % BATCH == BATCH - 1:
                await asyncio.sleep(0)
