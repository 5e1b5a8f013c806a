"""The hit path: plain hits, answered ahead of routing, and ahead of ASGI where the server lets us."""
