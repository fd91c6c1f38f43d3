"""Every metric of the service: name, kind, labels and what it says. The order here is the order of the exposition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mlops.errors import nearest

Kind = Literal["counter", "gauge", "histogram"]
Labels = tuple[str, ...]

OTHER = "other"
"""What every label says of the one series that takes in whatever is beyond a family's limit."""


@dataclass(frozen=True)
class Family:
    """One metric. Gauges are each worker's own: their first label, `worker`, is added by `Meters`.

    `at_scrape`: worked out when somebody asks; nobody registers a series of it.
    """

    name: str
    kind: Kind
    help: str
    labels: Labels = ()
    at_scrape: bool = False

    def values(self, given: Mapping[str, str], worker: str) -> Labels:
        """Label values in the family's order.

        Raises:
            ValueError: labels are missing, unknown, or not text.
        """
        own = ("worker",) if self.kind == "gauge" else ()
        try:
            values = tuple([given[label] for label in self.labels[len(own) :]])
        except KeyError as error:
            raise ValueError(f"{self.name} needs the label {error.args[0]}") from None
        if len(values) != len(given):
            unknown = sorted(set(given) - set(self.labels[len(own) :]))
            raise ValueError(f"{self.name} has no label {', '.join(unknown)}")
        return (worker, *values) if own else values


_TABLE = (
    Family("churn_http_requests_total", "counter", "Requests answered, by route and status code.", ("route", "code")),
    Family("churn_http_request_seconds", "histogram", "Seconds from request to answer, by route.", ("route",)),
    Family("churn_refused_total", "counter", "Requests refused, by route and reason.", ("route", "reason")),
    Family("churn_in_flight", "gauge", "Requests being answered now.", ("worker",)),
    Family("churn_rate_limited_total", "counter", "Requests over the rate limit, by API key.", ("key",)),
    Family(
        "churn_predictions_total",
        "counter",
        "Rows scored, by variant, model version and predicted outcome.",
        ("variant", "version", "outcome"),
    ),
    Family("churn_probability", "histogram", "Churn probabilities given out.", ("variant", "version")),
    Family(
        "churn_feature_value",
        "histogram",
        "Numbers as the model reads them, in bins of the training rows.",
        ("variant", "feature"),
    ),
    Family(
        "churn_feature_level_total",
        "counter",
        "Rows by level of a category; other: rare in training or unknown.",
        ("variant", "feature", "level"),
    ),
    Family("churn_feature_missing_total", "counter", "Rows in which the feature was missing.", ("variant", "feature")),
    Family(
        "churn_unknown_levels_total",
        "counter",
        "Rows with a level that training did not see.",
        ("variant", "feature"),
    ),
    Family(
        "churn_distribution_rows_dropped_total",
        "counter",
        "Rows left out of churn_probability and churn_feature_* because they came faster than they could be counted.",
    ),
    Family(
        "churn_model_info",
        "gauge",
        "The models that a worker serves; always 1.",
        ("worker", "variant", "version", "commit", "digest", "promoted"),
    ),
    Family("churn_model_loads_total", "counter", "Models loaded.", ("variant",)),
    Family("churn_model_load_failures_total", "counter", "Models refused, by reason.", ("variant", "reason")),
    Family(
        "churn_model_failing",
        "gauge",
        "1 while the model that should serve cannot be loaded and an earlier one serves.",
        ("worker", "variant"),
    ),
    Family("churn_shadow_dropped_total", "counter", "Rows that the shadow model had no time for."),
    Family("churn_log_queue", "gauge", "Predictions that wait to be written to the log.", ("worker",)),
    Family("churn_log_written_total", "counter", "Predictions written to the log."),
    Family("churn_log_lost_total", "counter", "Predictions that could not be logged, by reason.", ("reason",)),
    Family("churn_log_errors_total", "counter", "Writes to the log that failed; they are tried again."),
    Family("churn_log_deleted_total", "counter", "Logged predictions deleted to keep the log within its limits."),
    Family("churn_log_up", "gauge", "1 while the log's database answers.", ("worker",)),
    Family(
        "churn_feedback_total",
        "counter",
        "Outcomes reported by clients, and whether they were new.",
        ("outcome", "result"),
    ),
    Family(
        "churn_series_folded_total",
        "counter",
        "Updates of series beyond a family's limit, or that could not be stored.",
        ("family",),
    ),
    Family("churn_workers", "gauge", "Workers of this server that are alive.", at_scrape=True),
    Family("churn_uptime_seconds", "gauge", "Seconds since the worker's process began.", ("worker",), at_scrape=True),
    Family(
        "process_cpu_seconds_total",
        "counter",
        "User and system CPU seconds of the worker.",
        ("worker",),
        at_scrape=True,
    ),
    Family("process_resident_memory_bytes", "gauge", "Resident memory of the worker.", ("worker",), at_scrape=True),
    Family(
        "process_start_time_seconds",
        "gauge",
        "When the worker's process began, in seconds since 1970.",
        ("worker",),
        at_scrape=True,
    ),
    Family("process_open_fds", "gauge", "Open file descriptors of the worker.", ("worker",), at_scrape=True),
)

FAMILIES: dict[str, Family] = {family.name: family for family in _TABLE}


def registered(name: str, kind: Kind) -> Family:
    """The family of this name, for a series of this kind.

    Raises:
        ValueError: no family has the name, or it is of another kind.
    """
    family = FAMILIES.get(name)
    if family is None:
        raise ValueError(f"no metric is called {name}{nearest(name, FAMILIES)}; add it to api/metrics/families.py")
    if family.kind != kind or family.at_scrape:
        raise ValueError(f"{name} is no {kind} to be registered")
    return family
