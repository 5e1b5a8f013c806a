"""The servers of a deployment, to be broken, and what the doctor finds there."""

from dataclasses import dataclass

import psycopg
import pytest

from anomaly_cache.doctor.command import examine
from anomaly_cache.doctor.finding import Finding, Level
from anomaly_cache.migrate import Roles, migrate
from tests.support.own_servers import OwnPostgres, OwnValkey
from tests.support.postgres import as_user
from tests.support.waiting import eventually

KEYS = "analyst=4f1c0a9b27d8e35566aa01,admin=9d0e8f7a6b5c4d3e2f1a00"
MEMORY = {"maxmemory": "64mb", "maxmemory_policy": "allkeys-lru"}


@dataclass
class Clinic:
    """Servers as they should be, with the roles of both programs, and the doctor's settings for them in `patch`."""

    postgres: OwnPostgres
    valkey: OwnValkey
    patch: pytest.MonkeyPatch

    @property
    def settings(self) -> dict[str, str]:
        """Where the servers are, for the programs and the doctor."""
        return {
            "DATABASE_URL": as_user(self.postgres.url, "anomaly_api"),
            "LISTENER_DATABASE_URL": as_user(self.postgres.url, "anomaly_listener"),
            "REDIS_URL": self.valkey.url,
        }

    async def open(self) -> None:
        """Apply sql/, if that was not done, and have the doctor look here."""
        await self.migrate()
        for name, value in {**self.settings, "API_KEYS": KEYS, "REDIS_TIMEOUT_MS": "5000"}.items():
            self.patch.setenv(name, value)

    async def migrate(self) -> None:
        """What `anomaly-cache migrate --roles` does."""
        await migrate(self.postgres.url, roles=Roles("of-the-api", "of-the-listener"))

    async def finds(self, check: str, level: Level, *words: str) -> Finding:
        """Wait until the doctor finds this; return it."""

        async def found() -> Finding:
            there = [each for each in await examine(["api", "listener"]) if each.check.startswith(check)]
            for each in there:
                text = f"{each.detail} {each.remedy}"
                if each.level is level and all(word in text for word in words):
                    return each
            raise AssertionError(f"no {level} of {check} with {words}, but {there}")

        finding = await eventually(found, every=0.2)
        assert (finding.remedy is None) == (level is Level.OK)
        return finding

    async def heals(self, check: str) -> None:
        """Wait until the doctor has nothing to say against what it looks at in a check."""

        async def sound() -> bool:
            found = [each for each in await examine(["api", "listener"]) if each.check.startswith(check)]
            assert all(each.level is Level.OK for each in found), found
            return True

        await eventually(sound, every=0.2)

    async def sql(self, statements: str) -> None:
        """Run statements, parted by semicolons, as the superuser; each by itself, as psql would."""
        async with await psycopg.AsyncConnection.connect(self.postgres.url, autocommit=True) as connection:
            for statement in statements.split(";"):
                await connection.execute(statement.encode())
