"""Reads again what the cache has answered, for the audit."""

import json
from collections.abc import Sequence
from http import HTTPStatus

from coherence.gate import Unavailable
from coherence.query import Query
from service.database import Database
from service.problems import Problem
from service.questions import Question


class Rereading:
    """Knows of each query which of `questions` it answers."""

    def __init__(self, questions: Sequence[Question], database: Database) -> None:
        self._questions = questions
        self._database = database

    async def __call__(self, query: Query) -> bytes | None:
        """Return what Postgres answers, None where there is no such answer. Raises Unavailable."""
        question = next((question for question in self._questions if question.asks(query)), None)
        if question is None:
            raise Unavailable("QUESTIONS does not have this one")
        try:
            return question.content(query, await self._database.rows(*question.statement(query))).body
        except Problem as problem:
            if problem.status == HTTPStatus.NOT_FOUND:
                return None
            raise Unavailable(problem.detail) from problem

    def query(self, namespace: str, text: str) -> Query | None:
        """Return the query of a namespace whose parameters are written as `text`; None where no question is like it."""
        try:
            parameters = json.loads(text)
        except (ValueError, RecursionError):
            return None
        for question in self._questions:
            if question.namespace == namespace and isinstance(parameters, dict):
                query = question.query(parameters)
                if query is not None and query.text == text:
                    return query
        return None
