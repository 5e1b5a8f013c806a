"""The rows that answers show, field by field as they are shown: the tables' columns, in their order."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from service.parameters import Score, Status

Amount = Annotated[float, Field(description="With two decimals.")]
Currency = Annotated[str, Field(min_length=3, max_length=3, examples=["EUR"])]
Country = Annotated[str, Field(min_length=2, max_length=2, examples=["DE"])]
Time = Annotated[datetime, Field(description="In UTC.")]


class Anomaly(BaseModel):
    """A transaction that looks like fraud."""

    transaction_id: str
    account_id: str
    amount: Amount
    currency: Currency
    score: Score
    status: Status
    reason: str | None
    detected_at: Time
    updated_at: Time
    merchant: str | None
    channel: str | None
    country: Country | None
    device_id: str | None
    model_version: str | None


class Transaction(BaseModel):
    """A transaction of an account."""

    transaction_id: str
    account_id: str
    amount: Amount
    currency: Currency
    merchant: str | None
    channel: str | None
    occurred_at: Time
    country: Country | None
    city: str | None
    device_id: str | None
    ip_address: str | None
    user_agent: str | None
    description: str | None
