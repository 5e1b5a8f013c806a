"""The API's description in OpenAPI 3.1, made from what validates requests and what makes answers."""
