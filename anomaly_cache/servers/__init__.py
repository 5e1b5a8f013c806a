"""Real Postgres and Valkey servers as child processes, for the demo and the tests.

Starting and stopping one blocks for a moment (under a second warm): a server outlives any event loop,
so these classes belong to none. Importing anything here has no side effects.
"""
