"""The console: a page that shows an operator what the cache does, live, and lets them try it."""
