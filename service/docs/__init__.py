"""The documentation's page: Swagger UI, from npm's swagger-ui-dist 5.35.0, and what shows our description in it."""
