"""The listener's settings, read from the environment and `.env`."""

from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import ProgrammingError
from pydantic import Field, SecretStr, field_validator

from coherence.settings import CoherenceSettings, refuse_bare_characters

_NO_URL = "not a Postgres URL, such as postgresql://user:password@host:5432/database"


class ListenerSettings(CoherenceSettings):
    """Where the listener finds Postgres, and where it answers about its health."""

    database_url: SecretStr = Field(description="Where Postgres is: postgresql://user:password@host:port/database.")
    listener_database_url: SecretStr | None = Field(
        None,
        description="Where Postgres is for the listener: a URL that leads to the primary directly, where DATABASE_URL"
        " leads through a transaction pooler or to a standby. Default: DATABASE_URL.",
    )
    listener_health_host: str = Field(
        "127.0.0.1", min_length=1, description="Address on which the listener answers /livez, /readyz and /metrics."
    )
    listener_health_port: int = Field(
        8081, ge=0, le=65535, description="Port of the listener's /livez, /readyz and /metrics; 0 takes a free one."
    )

    @field_validator("database_url", "listener_database_url")
    @classmethod
    def _is_conninfo(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            refuse_bare_characters(value.get_secret_value())
            try:
                ports = str(conninfo_to_dict(value.get_secret_value()).get("port") or "")
            except ProgrammingError:
                # libpq's own words would quote the URL, and with it the password.
                raise ValueError(_NO_URL) from None
            if not all(port.isdecimal() or not port for port in ports.split(",")):
                raise ValueError(_NO_URL)
        return value

    @property
    def source_url(self) -> str:
        """The URL on which to listen. It holds the password."""
        return (self.listener_database_url or self.database_url).get_secret_value()
