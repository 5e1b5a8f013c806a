"""The settings that every process of the system shares, read from the environment and `.env`."""

import os
from importlib.util import find_spec
from typing import Literal, Self

from pydantic import Field, RedisDsn, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.asyncio import ConnectionPool
from redis.exceptions import RedisError

MISSING = "not set: it is required, in the environment or in .env"

SPOKEN = "http/protobuf"
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class SettingsError(Exception):
    """A setting is missing or wrong. The message has a line per variable, and no secret value."""


class CoherenceSettings(BaseSettings):
    """Where Redis is, what the keys are called, and how stale an answer may be.

    A field `redis_pool_size` is the environment variable `REDIS_POOL_SIZE`. An empty variable counts as unset.
    """

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    redis_url: SecretStr | None = Field(
        None,
        description="Where Redis is, as one URL: redis://[user:password@]host:port/db. Goes before REDIS_HOST and "
        "its kin.",
    )
    redis_host: str = Field("localhost", min_length=1, description="Redis host.")
    redis_port: int = Field(6379, ge=1, le=65535, description="Redis port.")
    redis_db: int = Field(0, ge=0, le=65535, description="Redis database number.")
    redis_username: str | None = Field(None, description="Redis user; `default` where none is given.")
    redis_password: SecretStr | None = Field(None, description="Redis password.")
    redis_pool_size: int = Field(
        10,
        ge=1,
        le=10_000,
        description="Most Redis connections of one process for its entries, sweeps and statistics; less than 3 counts "
        "as 3. Four more carry the protocol.",
    )
    redis_timeout_ms: int = Field(
        250,
        ge=10,
        le=10_000,
        description="How long a Redis command may take before it is given up, in milliseconds.",
    )
    cache_prefix: str = Field(
        "",
        max_length=64,
        pattern=r"^[A-Za-z0-9:._-]*$",
        description="Put before every Redis key and channel, so that two deployments may share a Redis.",
    )
    cache_max_staleness_seconds: float = Field(
        2.0,
        ge=0.5,
        le=3600,
        allow_inf_nan=False,
        description="The promise: a cached answer reflects every commit that was visible this many seconds before.",
    )
    cache_invalidation: Literal["rows", "namespace"] = Field(
        "rows",
        description="What a change of rows drops: only answers that it can change, or all of its namespace.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level that is logged.")
    log_format: Literal["json", "console"] = Field("json", description="Log lines as JSON, or for a person's eyes.")
    tracing: Literal["off", "on"] = Field(
        "off",
        description="Whether requests and changes are traced with OpenTelemetry, which the extra `otel` brings. Where "
        "the spans go, and which, is said by its own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.",
    )

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _check_redis_url(value.get_secret_value())
        return value

    @field_validator("tracing")
    @classmethod
    def _can_trace(cls, value: str) -> str:
        if value == "on" and not _has_extra():
            raise ValueError('the extra is not installed: pip install "anomaly-cache[otel]"')
        protocol = next(filter(None, map(os.environ.get, _PROTOCOLS)), SPOKEN)
        if value == "on" and protocol != SPOKEN:
            raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, and spans are sent by {SPOKEN} alone")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @classmethod
    def load(cls) -> Self:
        """Read the settings from the environment and `.env`.

        Raises SettingsError, whose message names each wrong variable and says what is wrong with it.
        """
        try:
            return cls()
        except ValidationError as error:
            raise SettingsError("\n".join(complaints(error))) from None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsError(f".env: cannot be read: {reason}") from None


def refuse_bare_characters(url: str) -> None:
    """Raise ValueError where a password in a URL holds what ends it there: the rest would be taken for the host's name.

    The message quotes nothing of the URL.
    """
    _, scheme, rest = url.partition("://")
    front, _, _ = rest.partition("?")
    credentials, _, _ = front.rpartition("@")
    if scheme and ("@" in credentials or "/" in credentials):
        raise ValueError("in the user's name and password, @ : / ? # and % must be written as %40 %3A %2F %3F %23 %25")


def _has_extra() -> bool:
    try:
        return find_spec("opentelemetry.exporter.otlp.proto.http") is not None
    except ImportError:
        return False


def _check_redis_url(url: str) -> None:
    """Raise ValueError with a reason that does not quote the URL, and with it the password."""
    try:
        database = (RedisDsn(url).path or "").strip("/")
    except ValidationError as error:
        raise ValueError(str(error.errors(include_input=False)[0]["msg"])) from None
    if database and not database.isdecimal():
        raise ValueError("the database, which is what follows the last slash, must be a number")
    try:
        # It is made, and connects to nothing.
        ConnectionPool.from_url(url).make_connection()  # type: ignore[no-untyped-call] # the library's
    except (ValueError, TypeError, RedisError):
        raise ValueError("an option behind the question mark is unknown, or has a wrong value") from None


def complaints(error: ValidationError) -> list[str]:
    """Return a line for each variable that is missing or wrong, without its value."""
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        variable = str(problem["loc"][0]).upper() if problem["loc"] else ""
        missing = problem["type"] == "missing"
        reason = MISSING if missing else problem["msg"].removeprefix("Value error, ")
        lines.append(f"{variable}: {reason}" if variable else reason)
    return lines
