"""The protocol in a small world, and a search through all of its states. Start with explorer.py."""
