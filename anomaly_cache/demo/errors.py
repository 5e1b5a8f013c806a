"""Why a demo does not start, or ends."""


class DemoError(Exception):
    """The demo cannot go on; the message is for a person and says what to do."""
