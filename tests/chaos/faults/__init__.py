"""Faults to draw from: each begins with `start`, and is mended by `heal`.

fault.py      what they have in common
messages.py   of the subscription: killed, silent, late, overflowing
listeners.py  of the listener and its session with Postgres
redis.py      of a Redis that forgets, or refuses
clocks.py     of Redis' clock
"""
