"""Stands before the installed OpenTelemetry where a program is to run as if there were none."""

raise ModuleNotFoundError("a test runs without the extra otel", name="opentelemetry")
