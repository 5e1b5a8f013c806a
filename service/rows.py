"""The rows that answers show, field by field as they are shown: the tables' columns, in their order."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field

from service.parameters import Score, Status

Id = Annotated[str, Field(examples=["STRIPE_ch_3SgXKq2eZvKYlo2C"])]
Account = Annotated[str, Field(examples=["acct_1042"])]
Amount = Annotated[float, Field(description="With two decimals.", examples=[129.9])]
Currency = Annotated[str, Field(min_length=3, max_length=3, examples=["EUR"])]
Country = Annotated[str, Field(min_length=2, max_length=2, examples=["DE"])]
Time = Annotated[datetime, Field(description="In UTC.", examples=["2026-01-31T12:30:00.25+00:00"])]


class Anomaly(BaseModel):
    """A transaction that looks like fraud."""

    transaction_id: Id
    account_id: Account
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

    transaction_id: Id
    account_id: Account
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
