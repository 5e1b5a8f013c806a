"""What the commands share that change the database: their settings, one session, and errors said in one line."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
from psycopg import IsolationLevel, errors
from psycopg.conninfo import conninfo_to_dict
from pydantic import Field, SecretStr, field_validator

from coherence.settings import CoherenceSettings, refuse_bare_characters

CONNECT_SECONDS = 10


class AdminSettings(CoherenceSettings):
    """Where Postgres is for commands that are no servers, and the passwords of the roles that `migrate` makes."""

    database_url: SecretStr = Field(
        description="Where Postgres is: postgresql://user:password@host:port/database. For migrate and seed, its user "
        "owns the tables."
    )
    api_db_password: SecretStr | None = Field(
        None, description="The password that migrate gives to the role anomaly_api, which the API logs in as."
    )
    listener_db_password: SecretStr | None = Field(
        None, description="The password that migrate gives to the role anomaly_listener, which the listener logs in as."
    )

    @field_validator("database_url")
    @classmethod
    def _is_conninfo(cls, value: SecretStr) -> SecretStr:
        refuse_bare_characters(value.get_secret_value())
        try:
            conninfo_to_dict(value.get_secret_value())
        except psycopg.ProgrammingError:
            # libpq's own words would quote the URL, and with it the password.
            raise ValueError("not a Postgres URL, such as postgresql://user:password@host:5432/database") from None
        return value


class AdminError(Exception):
    """Postgres could not be reached or refused; the message is one line for a person, and holds no password."""


@asynccontextmanager
async def transaction(url: str, *, application: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """One transaction on the Postgres of `url`: committed if the block ends well, rolled back otherwise.

    Raises AdminError if Postgres cannot be reached or refuses a statement of the block.
    """
    try:
        connection = await psycopg.AsyncConnection.connect(
            url, connect_timeout=CONNECT_SECONDS, application_name=application, prepare_threshold=None
        )
    except (psycopg.Error, OSError) as error:
        raise AdminError(f"DATABASE_URL: cannot connect to Postgres: {one_line(error)}") from error
    user = connection.info.user
    try:
        # What watch relies on, whatever the database's default is: each statement sees what others have committed.
        await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
        async with connection:
            yield connection
    except errors.InsufficientPrivilege as error:
        raise AdminError(f"DATABASE_URL: its user {user} has not the right: {one_line(error)}") from error
    except errors.ReadOnlySqlTransaction as error:
        raise AdminError(f"DATABASE_URL: the server takes no changes, is it a standby? {one_line(error)}") from error
    except errors.LockNotAvailable as error:
        raise AdminError(f"a table stayed locked by another session; try again later: {one_line(error)}") from error
    except errors.UndefinedTable as error:
        raise AdminError(f"run `anomaly-cache migrate` first: {one_line(error)}") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise AdminError(f"DATABASE_URL: the connection to Postgres broke: {one_line(error)}") from error
    except psycopg.Error as error:
        raise AdminError(f"Postgres refused: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """Return what `error` says and its notes, on one line, without the context that Postgres adds."""
    said = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    words = [said or str(error) or type(error).__name__, *getattr(error, "__notes__", ())]
    return " ".join(" ".join(words).split())
