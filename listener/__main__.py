"""`python -m listener`."""

from listener.command import listener

if __name__ == "__main__":
    listener(prog_name="listener")
