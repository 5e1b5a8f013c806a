"""The SQL files, as package data: `importlib.resources.files("sql")`."""
