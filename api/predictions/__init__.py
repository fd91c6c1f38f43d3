"""The prediction log: every prediction with its inputs, written off the request path to SQLite or PostgreSQL.

`PredictionLog.put` costs a fraction of a microsecond and never waits; a thread per worker writes what was put, keeps
the log within its limits, and answers feedback. What could not be logged is counted, with its reason.
"""

from api.predictions.address import LogError, LogUnavailable
from api.predictions.entry import Entry, Limits, Row
from api.predictions.feedback import FeedbackResult, Outcome
from api.predictions.log import PredictionLog
from api.predictions.reading import read
from api.predictions.runs import Crash

__all__ = [
    "Crash",
    "Entry",
    "FeedbackResult",
    "Limits",
    "LogError",
    "LogUnavailable",
    "Outcome",
    "PredictionLog",
    "Row",
    "read",
]
