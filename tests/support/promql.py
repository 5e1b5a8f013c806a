"""PromQL expressions: what they select, found by a real parser."""

from collections.abc import Iterator
from dataclasses import dataclass

from promql_parser import (
    AggregateExpr,
    BinaryExpr,
    Call,
    Expr,
    MatrixSelector,
    NumberLiteral,
    ParenExpr,
    StringLiteral,
    SubqueryExpr,
    UnaryExpr,
    VectorSelector,
    parse,
)


@dataclass(frozen=True, slots=True)
class Selected:
    """A metric that an expression reads, and the labels that it asks of it: in matchers, and in `by` around it."""

    metric: str
    labels: frozenset[str]


def selected_by(expression: str) -> list[Selected]:
    """Return what the expression reads, in its order; raises ValueError where it is no PromQL."""
    return list(_walk(parse(expression), frozenset()))


def _walk(node: Expr, grouped: frozenset[str]) -> Iterator[Selected]:
    match node:
        case VectorSelector():
            assert node.name, "a selector without a metric's name"
            yield Selected(node.name, grouped | {matcher.name for matcher in node.matchers.matchers})
        case MatrixSelector():
            yield from _walk(node.vector_selector, grouped)
        case AggregateExpr():
            labels = frozenset(node.modifier.labels) if node.modifier else frozenset()
            # An aggregate within has only the labels that it keeps itself; it is asked for those alone.
            yield from _walk(node.expr, labels or grouped)
        case BinaryExpr():
            yield from _walk(node.lhs, grouped)
            yield from _walk(node.rhs, grouped)
        case Call():
            for argument in node.args:
                yield from _walk(argument, grouped)
        case ParenExpr() | UnaryExpr() | SubqueryExpr():
            yield from _walk(node.expr, grouped)
        case NumberLiteral() | StringLiteral():
            return
        case _:
            raise AssertionError(f"{type(node).__name__} is not known here")
