"""Made-up fraud cases, as a payment processor's anomaly detection would report them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from random import Random
from string import ascii_letters, ascii_uppercase, digits

from anomaly_cache.merchants import MERCHANTS, PLACES, USER_AGENTS, Place

LATEST = datetime(2025, 12, 23, 12, tzinfo=UTC)
"""No row is newer: the same seed makes the same rows on any day, and a row inserted today comes before them."""

SPAN = timedelta(days=30)
ACCOUNTS = 2000
ABROAD = 0.3
"""The share of payments that come from elsewhere than the account's home."""

MODELS = ("isoforest-3.4.1+lgbm-2025.11", "isoforest-3.4.0+lgbm-2025.10", "graphsage-1.9.2+lgbm-2025.11")
CHANNELS = ("ecommerce", "mobile_app", "card_present", "recurring", "moto")
WHOLE_UNITS = frozenset({"JPY"})

Row = dict[str, str | float | datetime]


@dataclass(frozen=True, slots=True)
class Case:
    """An anomaly and the transaction that it is about, each by column."""

    anomaly: Row
    transaction: Row


def cases(seed: int) -> Iterator[Case]:
    """Yield cases without end; the same `seed` yields the same ones."""
    random = Random(seed)  # noqa: S311 - nothing here is secret
    # A few accounts and merchants have most of the cases.
    accounts = list(accumulate(rank**-0.8 for rank in range(1, ACCOUNTS + 1)))
    merchants = list(accumulate(rank**-0.7 for rank in range(1, len(MERCHANTS) + 1)))
    while True:
        account = random.choices(range(ACCOUNTS), cum_weights=accounts)[0]
        merchant = random.choices(MERCHANTS, cum_weights=merchants)[0]
        home = PLACES[account % len(PLACES)]
        place = random.choice(PLACES) if random.random() < ABROAD else home
        amount = merchant.typical * home.rate * random.lognormvariate(0.3, 0.9)
        score = round(random.betavariate(4, 1.6), 4)
        detected = LATEST - SPAN * random.random() ** 1.4
        status, since = _progress(random, score, detected)
        both: Row = {
            "transaction_id": _transaction_id(random),
            "account_id": f"acct_{account:06d}",
            "amount": f"{round(amount)}.00" if home.currency in WHOLE_UNITS else f"{amount:.2f}",
            "currency": home.currency,
            "merchant": merchant.name,
            "channel": random.choices(CHANNELS, weights=(45, 25, 18, 8, 4))[0],
            "country": place.country,
            "device_id": f"dev_{random.getrandbits(96):024x}",
        }
        yield Case(
            anomaly={
                **both,
                "score": score,
                "status": status,
                "reason": _reason(random, f"{both['amount']} {home.currency}", home, place),
                "detected_at": detected,
                "updated_at": since,
                "model_version": random.choices(MODELS, weights=(6, 2, 3))[0],
            },
            transaction={
                **both,
                "occurred_at": detected - timedelta(seconds=random.lognormvariate(1.5, 1)),
                "city": place.city,
                "ip_address": ".".join(str(random.randint(11, 197)) for _ in range(4)),
                "user_agent": random.choice(USER_AGENTS),
                "description": f"{merchant.name.upper()} {merchant.category} {place.city.upper()}"
                f" {random.randint(1000, 9999)}",
            },
        )


def _transaction_id(random: Random) -> str:
    prefix, alphabet, length = random.choices(
        (
            ("STRIPE_ch_3Sg", ascii_letters + digits, 21),
            ("ADYEN_psp_88", digits, 14),
            ("PAYPAL_", ascii_uppercase + digits, 17),
        ),
        weights=(72, 18, 10),
    )[0]
    return prefix + "".join(random.choices(alphabet, k=length))


def _progress(random: Random, score: float, detected: datetime) -> tuple[str, datetime]:
    """Return the status, and since when: the older and the clearer a case, the likelier that it is closed."""
    closed = 0.15 + 0.6 * ((LATEST - detected) / SPAN)
    status = random.choices(
        ("NEW", "INVESTIGATING", "INVESTIGATED", "CONFIRMED", "DISMISSED"),
        weights=(
            0.78 * (1 - closed),
            0.22 * (1 - closed),
            0.4 * closed,
            0.6 * closed * score**2,
            0.6 * closed * (1 - score**2),
        ),
    )[0]
    return status, detected if status == "NEW" else detected + (LATEST - detected) * random.random() ** 2


def _reason(random: Random, price: str, home: Place, place: Place) -> str:
    minutes, few, many = random.randint(2, 55), random.randint(3, 9), random.randint(11, 48)
    if place is not home:
        return (
            f"Paid in {place.city}, {place.country}, {minutes} minutes after a payment in {home.city},"
            f" {home.country}: no journey is that fast"
        )
    return random.choice(
        (
            f"{many} payments within {minutes} minutes at {few} merchants; the norm of 90 days is {few} a day",
            f"{price} is {few + minutes / 10:.1f} times this account's median for this kind of merchant",
            f"First payment from this device, seen on {few} other accounts within the last {minutes + 5} hours",
            f"{many} small payments were declined within the {minutes} minutes before this one passed",
            f"New network, password reset {minutes} minutes earlier, then a payment to a new merchant",
        )
    )
