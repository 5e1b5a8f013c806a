"""An example of each answer, by the name of its model; what follows from rows, of their pages, too."""

from service.openapi.schemas import Object

_ID = "STRIPE_ch_3SgXKq2eZvKYlo2C"
_ACCOUNT = "acct_1042"
_TIME = "2026-01-31T12:30:00.25+00:00"
_PAID = {"amount": 129.9, "currency": "EUR", "merchant": "Corner Books", "channel": "web", "country": "DE"}
_GENERATION = 1769862600250000
_TOLD = {"transaction_id": _ID, "account_id": _ACCOUNT, "score": 0.93, "detected_at": _TIME}
_CHANGE = {
    "generation": _GENERATION,
    "why": "the row lies on the page",
    "row": {"old": {**_TOLD, "status": "NEW"}, "new": {**_TOLD, "status": "CONFIRMED"}},
}

_ROWS = {
    "Anomaly": {
        "transaction_id": _ID,
        "account_id": _ACCOUNT,
        **_PAID,
        "score": 0.93,
        "status": "NEW",
        "reason": "Paid in Madrid, 29 minutes after a payment in Berlin",
        "detected_at": _TIME,
        "updated_at": _TIME,
        "device_id": "dev_46f5dd57",
        "model_version": "isoforest-3.4.1",
    },
    "Transaction": {
        "transaction_id": _ID,
        "account_id": _ACCOUNT,
        **_PAID,
        "occurred_at": _TIME,
        "city": "Berlin",
        "device_id": "dev_46f5dd57",
        "ip_address": "203.0.113.7",
        "user_agent": None,
        "description": None,
    },
}
_CHECKS = {"postgres": "ok", "redis": "ok", "cache": "on", "warming": "done", "tasks": "ok"}
UNREADY: Object = {"status": "unready", "checks": {**_CHECKS, "postgres": "missing"}}


def _page(namespace: str, row: str) -> Object:
    return {namespace: [_ROWS[row]], "count": 1, "limit": 100, "offset": 0, "next": None}


EXAMPLES: Object = {
    **_ROWS,
    "AnomalyPage": _page("anomalies", "Anomaly"),
    "TransactionPage": _page("transactions", "Transaction"),
    "CacheStats": {
        "available": True,
        "total_connections": 41,
        "total_commands": 90210,
        "keyspace_hits": 8400,
        "keyspace_misses": 600,
        "keys_count": 512,
        "hit_rate": 93.33,
        "l1": {"entries": 512, "bytes": 4194304, "max_bytes": 67108864},
        "view": {"valid": True, "generation": _GENERATION, "process": "5c84ebc33136a360"},
        "lease": {"seconds_left": 1.728, "max_staleness_seconds": 2.0},
    },
    "CacheExplanation": {
        "key": "anomalies:0ac9f5f21f05a5baddd3ca18bcd10ff2",
        "parameters": {
            "limit": 100,
            "offset": 0,
            "cursor": None,
            "min_score": 0.8,
            "status": "NEW",
            "account_id": None,
        },
        "served": False,
        "view": {"generation": _GENERATION, "lease_seconds_left": 1.728, "process": "5c84ebc33136a360"},
        "entry": {
            "layer": "l1",
            "stamp": _GENERATION - 16_000_000,
            "stored_at": 1769862590.25,
            "ttl_seconds_left": 47.8,
            "etag": '"ad9602dcf4c518b28440f7ebc8355525"',
            "bytes": 49403,
            "page": {"first": _TIME, "last": "2026-01-30T08:53:40.286166+00:00", "full": True},
        },
        "affected_by": _CHANGE,
        "last_affected_by": _CHANGE,
        "judged": [_CHANGE],
    },
    "Invalidated": {"namespace": "anomalies", "generation": _GENERATION},
    "Liveness": {"status": "alive"},
    "Report": {"status": "ready", "checks": _CHECKS},
}
"""A model that is not here has no example."""
