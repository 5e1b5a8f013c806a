"""What can go wrong with a server of our own."""


class ServerError(Exception):
    """A server could not be found, started or stopped; the message is for a person."""


class ServerNotFoundError(ServerError):
    """No binaries of this server are on the machine; the message says where they were looked for."""
