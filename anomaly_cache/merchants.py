"""Whom the made-up payments go to, where from, and with which browser."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Merchant:
    """A merchant, its category code and what a payment there typically is, in US dollars."""

    name: str
    category: int
    typical: float


@dataclass(frozen=True, slots=True)
class Place:
    """A city, its currency, and how much of that a US dollar is."""

    city: str
    country: str
    currency: str
    rate: float


MERCHANTS = (
    Merchant("Northwind Electronics", 5732, 240),
    Merchant("Blue Harbor Travel", 4722, 610),
    Merchant("Pixel Arcade Credits", 7994, 25),
    Merchant("Fennel & Rye Grocers", 5411, 55),
    Merchant("Kestrel Airways", 4511, 420),
    Merchant("Lumen Gift Cards", 5947, 100),
    Merchant("Orchard Pharmacy", 5912, 38),
    Merchant("Atlas Money Transfer", 4829, 350),
    Merchant("Cobalt Crypto Exchange", 6051, 500),
    Merchant("Marigold Fashion", 5651, 85),
    Merchant("Redwood Fuel", 5541, 60),
    Merchant("Tern Ride Hailing", 4121, 18),
    Merchant("Quarry Home Supply", 5200, 130),
    Merchant("Saffron Kitchen", 5812, 42),
    Merchant("Vega Streaming", 4899, 14),
    Merchant("Juniper Jewellers", 5944, 900),
    Merchant("Mosaic Marketplace", 5999, 70),
    Merchant("Halcyon Hotels", 7011, 310),
    Merchant("Drift Mobile Top-up", 4814, 20),
    Merchant("Copperfield Books", 5942, 28),
    Merchant("Summit Outdoor Gear", 5941, 150),
    Merchant("Ivory Dental Care", 8021, 190),
    Merchant("Beacon Charity Fund", 8398, 40),
    Merchant("Sable Luxury Resale", 5931, 700),
)

PLACES = (
    Place("Austin", "US", "USD", 1.0),
    Place("Berlin", "DE", "EUR", 0.9),
    Place("London", "GB", "GBP", 0.8),
    Place("Chicago", "US", "USD", 1.0),
    Place("Lyon", "FR", "EUR", 0.9),
    Place("Toronto", "CA", "CAD", 1.4),
    Place("Portland", "US", "USD", 1.0),
    Place("Madrid", "ES", "EUR", 0.9),
    Place("Leeds", "GB", "GBP", 0.8),
    Place("Osaka", "JP", "JPY", 150.0),
    Place("Miami", "US", "USD", 1.0),
    Place("Utrecht", "NL", "EUR", 0.9),
    Place("Recife", "BR", "BRL", 5.5),
    Place("Boston", "US", "USD", 1.0),
    Place("Pune", "IN", "INR", 88.0),
    Place("Zurich", "CH", "CHF", 0.85),
    Place("Denver", "US", "USD", 1.0),
)

USER_AGENTS = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_2 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/142.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_1) AppleWebKit/605.1.15 Version/18.1 Safari/605.1.15",
    "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "python-requests/2.32",
)
