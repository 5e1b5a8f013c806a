"""What the two roles may do: enough for their work, and no more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from anomaly_cache.doctor.finding import Finding, failing, ok, warning
from listener.session import Session

# Each right as GRANT and REVOKE have it, from whom the session's user has it, and whether that is the object's owner.
_HELD = """
WITH relations AS (
    SELECT c.oid, c.relowner AS owner, format('%I.%I', n.nspname, c.relname) AS name, c.relacl
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'coherence' AND c.relkind IN ('r', 'v')
        OR n.nspname = 'public' AND c.relname IN ('anomalies', 'transactions')
), rights AS (
    SELECT a.privilege_type || ' ON ' || r.name AS what, a.grantee, r.owner
      FROM relations r, aclexplode(coalesce(r.relacl, acldefault('r', r.owner))) a
    UNION
    SELECT format('%s (%I) ON %s', a.privilege_type, t.attname, r.name), a.grantee, r.owner
      FROM relations r JOIN pg_attribute t ON t.attrelid = r.oid, aclexplode(t.attacl) a
    UNION
    SELECT format('%s ON SCHEMA %I', a.privilege_type, n.nspname), a.grantee, n.nspowner
      FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
     WHERE n.nspname IN ('public', 'coherence')
    UNION
    SELECT format('%s ON FUNCTION %s', a.privilege_type, p.oid::regprocedure), a.grantee, p.proowner
      FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
     WHERE p.pronamespace = to_regnamespace('coherence')
)
SELECT what, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END, grantee = owner
  FROM rights WHERE grantee = 0 OR pg_has_role(grantee, 'USAGE') ORDER BY 1, 2
"""

_USER = """
SELECT quote_ident(current_user), (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       coalesce((SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = %(role)s), false)
"""

# Whoever may not use a schema may not look a name up in it, but for in the catalog itself.
_INSTALLED = """
SELECT count(*) = 3 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE (n.nspname, c.relname) IN (('public', 'anomalies'), ('public', 'transactions'), ('coherence', 'watched'))
"""


@dataclass(frozen=True, slots=True)
class Duties:
    """Who a program should log in as, where that is said, what it cannot do without, and what else it may."""

    program: str
    role: str
    variable: str
    needed: tuple[str, ...]
    granted: tuple[str, ...]


API = Duties(
    "api",
    "anomaly_api",
    "DATABASE_URL",
    needed=(
        "USAGE ON SCHEMA public",
        "SELECT ON public.anomalies",
        "SELECT ON public.transactions",
        "UPDATE (status) ON public.anomalies",
        "UPDATE (updated_at) ON public.anomalies",
    ),
    granted=(
        "USAGE ON SCHEMA coherence",
        "SELECT (namespace) ON coherence.tables",
        "EXECUTE ON FUNCTION coherence.invalidate(text)",
        "EXECUTE ON FUNCTION coherence.sessions()",
    ),
)
LISTENER = Duties(
    "listener",
    "anomaly_listener",
    "LISTENER_DATABASE_URL",
    needed=(
        "USAGE ON SCHEMA coherence",
        "SELECT ON coherence.watched",
        "EXECUTE ON FUNCTION coherence.audit()",
    ),
    granted=("USAGE ON SCHEMA public", "EXECUTE ON FUNCTION coherence.sessions()"),
)


async def rights(session: Session, duties: Duties) -> list[Finding]:
    """Return whether the session's user has the rights that it needs, and which it should not have."""
    check = f"rights of the {duties.program}"
    if not (await session.run(_INSTALLED))[0][0]:
        return [failing(check, "the tables, or schema coherence, are missing", "run `anomaly-cache migrate`")]
    user, superuser, is_member = (await session.run(_USER, {"role": duties.role}))[0]
    log_in = f"set {duties.variable} to log in as {duties.role}, which `anomaly-cache migrate --roles` makes"
    if superuser:
        return [warning(check, f"{user} is a superuser, who may do anything", log_in)]
    held = await session.run(_HELD)
    missing = _missing({what for what, _, _ in held}, duties.needed)
    more = [each for each in held if each[0] not in (*duties.needed, *duties.granted)]
    found = []
    if missing:
        remedy = "run `anomaly-cache migrate --roles`" if is_member else f"GRANT {duties.role} TO {user}"
        found.append(failing(check, f"{user} lacks {'; '.join(missing)}", remedy))
    if more:
        remedy = log_in
        if not any(is_owner for _, _, is_owner in more):
            remedy = "; ".join([*_revoking(more), *_given_back(more, duties.needed)])
        elif user == duties.role:
            remedy = f"REASSIGN OWNED BY {user} TO another role, then run `anomaly-cache migrate --roles`"
        found.append(warning(check, f"{user} may also {'; '.join(_together(what for what, _, _ in more))}", remedy))
    return found or [ok(check, f"{user} may do what it must, and no more")]


def _missing(held: set[str], needed: Iterable[str]) -> list[str]:
    """Return the rights that are not held; who may do something to a table may do it to each of its columns."""
    return [right for right in needed if right not in held and _of_table(right) not in held]


def _of_table(right: str) -> str:
    what, _, target = right.partition(" ON ")
    return f"{what.partition(' (')[0]} ON {target}"


def _together(rights: Iterable[str]) -> list[str]:
    """Return rights as few phrases, those on the same object in one."""
    parts = sorted({right.partition(" ON ")[::2] for right in rights}, key=lambda part: (part[1], part[0]))
    return [f"{', '.join(what for what, _ in some)} ON {on}" for on, some in groupby(parts, key=lambda part: part[1])]


def _revoking(more: Sequence[Sequence[str]]) -> list[str]:
    grantees = sorted({grantee for _, grantee, _ in more})
    return [
        f"REVOKE {phrase} FROM {grantee}"
        for grantee in grantees
        for phrase in _together(what for what, who, _ in more if who == grantee)
    ]


def _given_back(more: Sequence[Sequence[str]], needed: Iterable[str]) -> list[str]:
    """Return how to restore rights on columns: to revoke one on a table takes it from each of its columns, too."""
    taken = {what: grantee for what, grantee, _ in more}
    return [f"GRANT {right} TO {taken[of]}" for right in needed if "(" in right and (of := _of_table(right)) in taken]
