"""The API's settings."""

from pathlib import Path
from typing import Literal

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import ByteSize, Field, SecretStr, ValidationInfo, field_validator

from coherence.coding import CODINGS
from coherence.policy import Policy
from coherence.settings import CoherenceSettings, refuse_bare_characters
from service import lists
from service.auth import KeyRing

RESERVED_CONNECTIONS = 2
"""Connections that loads leave to PUTs and health checks, unless told otherwise."""

MIB = 2**20


class ServiceSettings(CoherenceSettings):
    """What the API needs beside Redis: Postgres, the keys, the TTLs and bounds."""

    database_url: SecretStr = Field(
        description="The Postgres to read from: postgresql://user:password@host:port/database. It must be the primary."
    )
    db_pool_size: int = Field(10, ge=2, le=1000, description="Most Postgres connections of one process.")
    db_max_concurrent_loads: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Most cache misses and bypasses that read from Postgres at once; others wait up to 2 s. "
        "It must be less than DB_POOL_SIZE, so that updates and health checks find a connection. "
        "Default: DB_POOL_SIZE less 2, but at least 1.",
    )
    db_statement_timeout_ms: int = Field(
        1500,
        ge=50,
        le=60_000,
        description="How long a statement may run in Postgres, in milliseconds. "
        "A Postgres that does not answer at all is given up 250 ms later.",
    )
    cache_enabled: bool = Field(True, description="Whether reads may come from the cache.")
    cache_ttl_anomalies: int = Field(
        60,
        ge=1,
        le=86_400,
        description="How long answers about anomalies are kept, in seconds. Jitter adds up to 10 %.",
    )
    cache_ttl_short: int = Field(
        30,
        ge=1,
        le=86_400,
        description="How long answers about transactions are kept, in seconds. Jitter adds up to 10 %.",
    )
    cache_kept_changes: int = Field(
        4096,
        ge=1,
        le=1_000_000,
        description="How many changed rows each process remembers, to judge by them what it has cached.",
    )
    cache_on_lease_loss: Literal["bypass", "ttl"] = Field(
        "bypass",
        description="What happens to cached answers when nothing proves them fresh, such as without a listener: "
        "`bypass` them, and read from Postgres, or serve them, marked, until their `ttl` ends. "
        "With `ttl` CACHE_MAX_STALENESS_SECONDS is not promised then.",
    )
    cache_stale_if_error_seconds: float = Field(
        0.0,
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="When Postgres cannot be read, answer with what was right at most this many seconds ago, marked as "
        "stale; 0 for never.",
    )
    cache_audit_rate: float = Field(
        0.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of the cache's answers that are read from Postgres again, afterwards, to find out whether "
        "they were right; at most 50 a second.",
    )
    cache_l1_max_bytes: ByteSize = Field(
        ByteSize(64 * MIB),
        ge=0,
        description="Most memory for the process' own cache: bytes, or with a unit, as in 64MiB.",
    )
    cache_fleet_wait_ms: int = Field(
        500,
        ge=0,
        le=10_000,
        description="How long a miss waits for the answer that another process is loading, before it loads too, "
        "in milliseconds; 0: each process loads for itself.",
    )
    cache_refresh_ahead: float = Field(
        0.1,
        ge=0,
        le=0.5,
        allow_inf_nan=False,
        description="The last part of its TTL in which an answer that is read is loaded anew, in the background, "
        "as a share of the TTL; 0: it is loaded when it has ended.",
    )
    cache_compression: str = Field(
        ",".join(CODINGS),
        description="The content codings that clients may get, the one to prefer first: of zstd, br and gzip, parted "
        "by commas; `none` for no compression. With zstd, Redis holds bodies compressed, too.",
    )
    cache_fresh_reads: Literal["admins", "everyone"] = Field(
        "admins",
        description="Whose `Cache-Control: no-cache` has an answer loaded for it. Others get one that was loaded "
        "within CACHE_MAX_STALENESS_SECONDS.",
    )
    put_ack_timeout_ms: int = Field(
        100,
        ge=0,
        le=5000,
        description="How long a PUT waits for the other processes to say that they know of the change, "
        "in milliseconds.",
    )
    api_host: str = Field("127.0.0.1", min_length=1, description="Address to listen on; 0.0.0.0 for all.")
    api_port: int = Field(8000, ge=0, le=65_535, description="Port to listen on; 0 for any that is free.")
    http_fast_path: Literal["auto", "off"] = Field(
        "auto",
        description="auto: hits in the process' own cache are answered by the server's HTTP protocol, before any "
        "application is called, if the uvicorn that runs is one that this was made for. "
        "off: they are answered by the application, as all else is.",
    )
    api_keys: SecretStr | None = Field(
        None,
        description="The API keys, as role=key,role=key. Roles: analyst, admin. "
        "Several keys a role may be given, for rotation. "
        "A key has at least 16 characters, and no comma or equals sign.",
    )
    api_keys_file: Path | None = Field(
        None,
        validate_default=True,
        description="A file with the API keys, in the form of API_KEYS or one role=key a line; instead of API_KEYS.",
    )
    cors_allow_origins: str = Field(
        "",
        description="The origins whose pages may use the API, parted by commas, as in https://ui.example.com; `*` for "
        "all of them. Default: none.",
    )
    console: Literal["on", "off"] = Field(
        "on",
        description="Whether there is a page at /console that shows what the cache does. It asks for an admin's key.",
    )
    warm_queries: str = Field(
        "limit=100&offset=0&status=NEW limit=100&offset=0&min_score=0.8",
        description="Query strings of /api/v1/anomalies to load into the cache at start, parted by blanks; "
        "`none` for no warming.",
    )
    warm_timeout_seconds: float = Field(
        10.0,
        gt=0,
        le=600,
        allow_inf_nan=False,
        description="How long warming may take, and so hold up /readyz, in seconds.",
    )

    @field_validator("database_url")
    @classmethod
    def _is_conninfo(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if "://" in text and not text.startswith(("postgresql://", "postgres://")):
            raise ValueError("must begin with postgresql://")
        refuse_bare_characters(text)
        try:
            ports = str(conninfo_to_dict(text).get("port", "")).split(",")
        except ProgrammingError:
            # The error's own text may quote the password.
            raise ValueError("cannot be read: expected postgresql://user:password@host:port/database") from None
        if not all(port == "" or port.isdecimal() for port in ports):
            raise ValueError("the port must be a number")
        return value

    @field_validator("warm_queries")
    @classmethod
    def _are_queries(cls, value: str) -> str:
        lists.query_strings(value)
        return value

    @field_validator("cache_compression")
    @classmethod
    def _are_codings(cls, value: str) -> str:
        lists.codings(value)
        return value

    @field_validator("cors_allow_origins")
    @classmethod
    def _are_origins(cls, value: str) -> str:
        lists.origins(value)
        return value

    @field_validator("db_max_concurrent_loads")
    @classmethod
    def _leaves_a_connection(cls, value: int | None, info: ValidationInfo) -> int | None:
        size = info.data.get("db_pool_size")
        if value is not None and size is not None and value >= size:
            raise ValueError(f"must be less than DB_POOL_SIZE, which is {size}")
        return value

    @field_validator("api_keys")
    @classmethod
    def _are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            KeyRing.parse(value.get_secret_value())
        return value

    @field_validator("api_keys_file")
    @classmethod
    def _holds_keys(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if "api_keys" in info.data and (value is None) == (info.data["api_keys"] is None):
            raise ValueError(
                "API_KEYS is not set either" if value is None else "API_KEYS is set, too: give one of them"
            )
        if value is not None:
            KeyRing.parse(_text_of(value))
        return value

    @property
    def max_loads(self) -> int:
        """How many loads may read from Postgres at once."""
        return self.db_max_concurrent_loads or max(1, self.db_pool_size - RESERVED_CONNECTIONS)

    @property
    def codings(self) -> tuple[str, ...]:
        """The content codings that clients may get, the preferred one first."""
        return lists.codings(self.cache_compression)

    @property
    def policy(self) -> Policy:
        """What is served though it cannot be proven fresh."""
        return Policy(until_ttl=self.cache_on_lease_loss == "ttl", stale_if_error=self.cache_stale_if_error_seconds)

    @property
    def origins(self) -> tuple[str, ...]:
        """The origins whose pages may use the API."""
        return lists.origins(self.cors_allow_origins)

    @property
    def warm_query_strings(self) -> tuple[bytes, ...]:
        """The query strings to warm the cache with."""
        return lists.query_strings(self.warm_queries)

    @property
    def keys_text(self) -> str:
        """The API keys as they were given, from the file where there is one."""
        if self.api_keys is not None:
            return self.api_keys.get_secret_value()
        assert self.api_keys_file is not None  # noqa: S101 - validated
        return _text_of(self.api_keys_file)

    def read_keys(self) -> KeyRing:
        """Return the API keys."""
        return KeyRing.parse(self.keys_text)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ValueError(f"cannot read {path}: {reason}") from None
