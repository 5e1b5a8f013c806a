"""What can be asked: one declaration a route."""

from typing import Annotated

from pydantic import Field

from coherence.rows import AtLeast
from service.parameters import PageParameters, Parameters, Score, Status, Text
from service.questions import Listing, Lookup, distinct
from service.rows import Anomaly, Transaction
from service.tables import Filter, Table


class AnomalyPage(PageParameters):
    """Parameters of the list of anomalies."""

    min_score: Annotated[Score | None, Field(description="Only scores of at least this.", examples=[0.8])] = None
    status: Annotated[Status | None, Field(description="Only those with this status.")] = None
    account_id: Annotated[Text | None, Field(description="Only those of this account.")] = None


class AnomalyId(Parameters):
    """Parameters of one anomaly."""

    transaction_id: Text


class AccountPage(PageParameters):
    """Parameters of the list of an account's transactions."""

    account_id: Text


ANOMALIES_TABLE = Table(
    "public.anomalies",
    key="transaction_id",
    row=Anomaly,
    newest_by="detected_at",
)

TRANSACTIONS_TABLE = Table(
    "public.transactions",
    key="transaction_id",
    row=Transaction,
    newest_by="occurred_at",
)

ANOMALIES = Listing(
    "/api/v1/anomalies",
    namespace="anomalies",
    parameters=AnomalyPage,
    table=ANOMALIES_TABLE,
    filters={
        "min_score": Filter("score", AtLeast),
        "status": Filter("status"),
        "account_id": Filter("account_id"),
    },
)

ANOMALY = Lookup(
    "/api/v1/anomalies/{transaction_id}",
    namespace="anomalies",
    parameters=AnomalyId,
    table=ANOMALIES_TABLE,
)

TRANSACTIONS = Listing(
    "/api/v1/transactions/{account_id}",
    namespace="transactions",
    parameters=AccountPage,
    table=TRANSACTIONS_TABLE,
    filters={"account_id": Filter("account_id")},
)

QUESTIONS = distinct(ANOMALIES, ANOMALY, TRANSACTIONS)

NAMESPACES = frozenset(question.namespace for question in QUESTIONS)
"""What `POST /api/v1/cache/invalidate` and the metrics' labels know."""

ANNOUNCED = ("transaction_id", "account_id", "status", "score", "detected_at")
"""The columns of anomalies that a change is told by, as `sql/030_watch.sql` has the triggers tell it."""

_ANNOUNCED = ", ".join(ANNOUNCED)

# The time stays where the status does: setting it to what it is already changes nothing that is shown. It is read when
# the row is locked, so that it tells the order of the changes; a transaction's own time would tell when each began.
SET_STATUS = f"""
WITH known AS (
    SELECT {_ANNOUNCED}, xmin FROM {ANOMALIES_TABLE.name} WHERE transaction_id = %(transaction_id)s
        AND (%(version)s::bigint IS NULL OR xmin::text::bigint = %(version)s::bigint)
    FOR UPDATE
), updated AS (
    UPDATE {ANOMALIES_TABLE.name} AS a
    SET status = %(status)s, updated_at = CASE WHEN a.status = %(status)s THEN a.updated_at ELSE clock_timestamp() END
    FROM known WHERE a.transaction_id = known.transaction_id
    RETURNING a.*
)
SELECT row_to_json(r), (SELECT to_jsonb(k) FROM (SELECT {_ANNOUNCED} FROM known) AS k),
       (SELECT to_jsonb(u) FROM (SELECT {_ANNOUNCED} FROM updated) AS u),
       (SELECT xmin::text::bigint FROM known), pg_snapshot_xmin(pg_current_snapshot())::text::bigint %% 4294967296
FROM (SELECT {ANOMALIES_TABLE.column_list} FROM updated) AS r
"""  # noqa: S608 - made of the declarations above
"""Set a status; return the row's JSON, and what the change is told by: the old and the new values.

Then the transaction that wrote the old ones, and the oldest that had not ended, for `Horizon`. With a `version`, only
the row which that transaction wrote is changed.
"""

VERSION = f"""
SELECT row_to_json(r), (
    SELECT xmin::text::bigint FROM {ANOMALIES_TABLE.name} WHERE transaction_id = %(transaction_id)s
) FROM (
    SELECT {ANOMALIES_TABLE.column_list} FROM {ANOMALIES_TABLE.name} WHERE transaction_id = %(transaction_id)s
) AS r
"""  # noqa: S608 - made of the declarations above
"""Return the row's JSON, and the transaction that wrote it."""
