"""The console script `anomaly-cache`: its commands, and what to say of each."""

import click

from anomaly_cache.lazy import LazyGroup

COMMANDS = {
    "api": ("service.command:api", "Serve the HTTP API."),
    "listener": ("listener.command:listener", "Turn what Postgres announces into invalidations, and hold the lease."),
    "migrate": ("anomaly_cache.commands:migrate", "Apply sql/ to the database: tables, schema coherence, triggers."),
    "seed": ("anomaly_cache.commands:seed", "Load made-up anomalies and transactions."),
    "demo": ("anomaly_cache.demo.command:demo", "Run the whole system on this machine, with data and a tour."),
    "doctor": ("anomaly_cache.doctor.command:doctor", "Look for what is wrong, and say what helps."),
    "replicas": ("anomaly_cache.replicas:replicas", "List every API process and listener, and how it does."),
    "watch": ("anomaly_cache.watch:watch", "Show changes as they pass, and how long each took to every process."),
    "explain": ("anomaly_cache.explain:explain", "Say where a query's answer is cached, and what invalidated it."),
    "audit": (
        "anomaly_cache.audit:audit",
        "Read cached answers from Postgres again: were they right?",
    ),
    "invalidate": ("anomaly_cache.invalidate:invalidate", "Make every cache forget one namespace."),
    "config": ("anomaly_cache.config:config", "Print the effective settings, secrets hidden."),
}


@click.command(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="anomaly-cache", message="%(prog)s %(version)s")
def main() -> None:
    """A Postgres + Redis read cache that cannot quietly go stale.

    A deployment is any number of `api` processes, one or two `listener` processes, a Postgres that `migrate` has
    prepared, and a Redis. To see it all at work on this machine: `anomaly-cache demo`.

    \b
    Settings come from the environment and from .env in the current directory;
    `anomaly-cache config` prints those in effect.

    \b
    Exit codes:
      0  done, or stopped by SIGTERM
      1  something failed; standard error says what
      2  a setting or an argument is wrong; standard error names it
    """  # noqa: D301 - click wants the character
