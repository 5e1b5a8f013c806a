"""`anomaly-cache explain`: where a query's answer is cached, since when, until when, and what invalidated it last."""

import json
import time
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

import click
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from anomaly_cache.config import WrongSettingsError
from coherence.settings import complaints
from service.auth import entries_of

PATH = "/api/v1/cache/explain"
SECONDS = 5.0


class ClientSettings(BaseSettings):
    """Where the API is, and with which key to ask it, as the API's own settings say."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True)

    api_port: int = Field(8000, ge=1, le=65535)
    api_keys: SecretStr | None = None
    api_keys_file: Path | None = None

    @property
    def admin_key(self) -> str | None:
        """The first admin key there is."""
        text = self.api_keys.get_secret_value() if self.api_keys else ""
        if self.api_keys_file is not None:
            text = self.api_keys_file.read_text(encoding="utf-8")
        entries = (entry.partition("=") for entry in entries_of(text))
        return next((key.strip() for role, _, key in entries if role.strip() == "admin"), None)


@click.command()
@click.argument("query", default="")
@click.option("--url", "urls", multiple=True, help="An API process; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="What each process says, as one JSON document.")
def explain(query: str, urls: tuple[str, ...], *, as_json: bool) -> None:
    """Say where the answer to QUERY is cached, since when, until when, and what invalidated it last.

    QUERY is a query string of /api/v1/anomalies, such as 'status=NEW&min_score=0.8'; without one, of the plain list.
    Each process has a cache of its own: give --url for each that you want to ask.

    \b
    Settings (environment or .env), as the API has them:
      API_PORT      of http://127.0.0.1, where there is no --url (8000)
      API_KEYS      or API_KEYS_FILE: the first admin key is used

    \b
    Exit codes:
      0  each process answered
      1  one cannot be reached, or refuses the key
      2  the query or a setting is wrong
    """  # noqa: D301 - click wants the character
    try:
        settings = ClientSettings()
    except ValidationError as error:
        raise WrongSettingsError("\n".join(complaints(error))) from None
    try:
        key = settings.admin_key
    except (OSError, UnicodeDecodeError) as error:
        raise WrongSettingsError(f"API_KEYS_FILE: cannot be read: {error}") from None
    if key is None:
        raise WrongSettingsError("API_KEYS or API_KEYS_FILE: holds no admin key, which explain needs")
    said = {url: ask(url, query, key) for url in urls or (f"http://127.0.0.1:{settings.api_port}",)}
    if as_json:
        click.echo(json.dumps(said, indent=2))
        return
    for url, document in said.items():
        click.echo(f"{url}")
        for name, value in lines(document, time.time()):
            click.echo(f"  {name:<20}{value}")


def ask(url: str, query: str, key: str) -> dict[str, Any]:
    """Return what the API process at `url` says of `query`. Raises ClickException."""
    if not url.startswith(("http://", "https://")):
        raise WrongSettingsError(f"--url {url}: must begin with http:// or https://")
    # What a URL cannot hold as it is; what is quoted already stays so.
    asked = quote(query.removeprefix("?"), safe="&=%+,;:/?@!$'()*~[]")
    try:
        request = Request(f"{url.rstrip('/')}{PATH}?{asked}", headers={"X-API-Key": key})  # noqa: S310 - checked above
    except ValueError as error:
        raise WrongSettingsError(f"--url {url}: {error}") from None
    try:
        with urlopen(request, timeout=SECONDS) as response:  # noqa: S310 - checked above
            document: dict[str, Any] = json.load(response)
            return document
    except HTTPError as error:
        raise _refusal(url, error) from None
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise click.ClickException(
            f"{url} cannot be asked: {reason}\nDoes the API run there? --url, or else API_PORT, says where it is."
        ) from None


def _refusal(url: str, error: HTTPError) -> click.ClickException:
    try:
        said = json.load(error)
    except ValueError:
        said = {}
    wrong = "; ".join(f"{each.get('field')}: {each.get('detail')}" for each in said.get("errors", []))
    detail = wrong or said.get("detail") or error.reason
    if error.code in (400, 422):
        return WrongSettingsError(f"{url}: {detail}")
    return click.ClickException(f"{url}: {error.code}: {detail}")


def lines(document: dict[str, Any], now: float) -> list[tuple[str, str]]:
    """Return the lines for a person; `now` is Unix time."""
    entry, lease = document["entry"], document["view"]["lease_seconds_left"]
    found = [("key", document["key"]), ("served from cache", "yes" if document["served"] else "no")]
    if lease <= 0:
        found.append(("why not", "this process has no lease: answers come from Postgres"))
    if entry is None:
        found.append(("cached", "nowhere: the next request is a miss"))
    else:
        where = "in this process (l1)" if entry["layer"] == "l1" else "in Redis (l2)"
        found += [
            ("cached", f"{where}, {entry['bytes']:,} bytes"),
            ("since", f"{clock(entry['stored_at'])} ({now - entry['stored_at']:.1f} s ago)"),
            ("until", until(entry["ttl_seconds_left"], now, outdated=document["affected_by"] is not None)),
        ]
    if document["affected_by"] is not None:
        found.append(("outdated by", change(document["affected_by"])))
    last = document["last_affected_by"]
    found.append(("last invalidated", change(last) if last else "by nothing that this process remembers"))
    return found


def until(left: float, now: float, *, outdated: bool) -> str:
    """Return until when an entry is kept that has `left` seconds."""
    if left <= 0:
        return "its time is over"
    return f"{clock(now + left)} ({left:.1f} s from now){'' if outdated else ', unless a change affects it'}"


def change(affecting: dict[str, Any]) -> str:
    """Return what a change was. A generation is the time when it was made, in microseconds."""
    row = affecting["row"]
    shown = row and (row["new"] or row["old"])
    which = f": {json.dumps(shown)}" if shown else ""
    return f"{clock(affecting['generation'] / 1e6)}, {affecting['why']}{which}"


def clock(at: float) -> str:
    """Return a time of today, by the reader's own time zone."""
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03}"
