"""Which way a metric goes: the pipeline's own as it says, any other by the words of its name."""

from __future__ import annotations

import re

_LOWER = re.compile(
    r"loss|logloss|nll|error|err|mae|mse|rmse|mape|brier|ece|calibration|deviance|perplexity|fpr|fnr|"
    r"time|seconds?|secs?|minutes|ms|us|latency|duration|runtime|elapsed|cost|size|mb|kb|gb|bytes|memory"
)
"""Words that name what nobody wants more of."""


def higher_is_better(metric: str) -> bool:
    """Whether more of it is better: not of what is an error, a loss, a time, a size or a cost by its name."""
    from mlops.metrics.measure import HIGHER_IS_BETTER  # NumPy with it, which need not wait for Git, nor Git for it

    if metric in HIGHER_IS_BETTER:
        return HIGHER_IS_BETTER[metric]
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", metric).lower()
    return not any(map(_LOWER.fullmatch, re.split(r"[^a-z]+", words)))
