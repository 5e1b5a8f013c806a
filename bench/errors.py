"""What can go wrong with a measurement."""


class BenchError(Exception):
    """A measurement could not be made, or its result would mean nothing; the message is for a person."""
