"""A read cache over Postgres and Redis with a provable bound on staleness."""

from coherence.answer import Answer
from coherence.changes import Change
from coherence.coherence import Coherence, Published
from coherence.gate import Overloaded
from coherence.keys import cache_key
from coherence.loading import Content
from coherence.query import Query
from coherence.rows import AtLeast, Equals, Page, RowChange, Scope
from coherence.settings import CoherenceSettings, SettingsError
from coherence.tasks import end_process

__all__ = [
    "Answer",
    "AtLeast",
    "Change",
    "Coherence",
    "CoherenceSettings",
    "Content",
    "Equals",
    "Overloaded",
    "Page",
    "Published",
    "Query",
    "RowChange",
    "Scope",
    "SettingsError",
    "cache_key",
    "end_process",
]
