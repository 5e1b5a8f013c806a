"""The settings that every process of the system shares, read from the environment and `.env`."""

from typing import Literal, Self

from pydantic import Field, RedisDsn, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


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
        description="Where Redis is, as one URL: redis://[:password@]host:port/db. Goes before REDIS_HOST and its kin.",
    )
    redis_host: str = Field("localhost", min_length=1, description="Redis host.")
    redis_port: int = Field(6379, ge=1, le=65535, description="Redis port.")
    redis_db: int = Field(0, ge=0, le=65535, description="Redis database number.")
    redis_password: SecretStr | None = Field(None, description="Redis password.")
    redis_pool_size: int = Field(10, ge=1, le=10_000, description="Most Redis connections of one process.")
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

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            try:
                RedisDsn(value.get_secret_value())
            except ValidationError as error:
                # The error's own text would quote the URL, and with it the password.
                raise ValueError(_first_reason(error)) from None
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
            raise SettingsError("\n".join(_complaints(error))) from None
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsError(f".env: cannot be read: {reason}") from None


def _first_reason(error: ValidationError) -> str:
    return str(error.errors(include_input=False)[0]["msg"])


def _complaints(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):
        variable = str(problem["loc"][0]).upper() if problem["loc"] else ""
        reason = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{variable}: {reason}" if variable else reason)
    return lines
