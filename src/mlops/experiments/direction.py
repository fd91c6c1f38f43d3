"""Which way a metric goes: the pipeline's own as it says, any other by the words of its name."""

from __future__ import annotations

import re

_LOWER = re.compile(
    r"(log)?loss(es)?|(cross)?entropy|nll|errors?|err|s?mape|mdape|mae|medae|r?msle|r?mse|brier|ece|calibration|"
    r"deviance|perplexity|hinge|hamming|misclassifications?|misclassified|false|fpr|fnr|fdr|wer|cer|eer|aic|bic|"
    r"residuals?|regrets?|risks?|times?|seconds?|secs?|minutes|ms|us|latenc(y|ies)|durations?|runtimes?|elapsed|"
    r"costs?|sizes?|mb|kb|gb|bytes|memory"
)
"""Words that name what nobody wants more of."""
_HIGHER = frozenset(("saved", "saving", "savings", "avoided", "reduction", "reduced"))
"""Words that turn this round: of time saved everybody wants more."""


def higher_is_better(metric: str) -> bool:
    """Whether more of it is better: not of what is an error, a loss, a time, a size or a cost by its name."""
    from mlops.metrics.measure import HIGHER_IS_BETTER  # NumPy with it, which need not wait for Git, nor Git for it

    name = own(metric)
    if name in HIGHER_IS_BETTER:
        return HIGHER_IS_BETTER[name]
    if name.endswith("_std"):
        return False
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", metric).lower()
    found = re.split(r"[^a-z]+", words)
    return not _HIGHER.isdisjoint(found) or not any(map(_LOWER.fullmatch, found))


def own(metric: str) -> str:
    """A metric's name without where it was measured: `cv.roc_auc` is a sweep's roc_auc."""
    return metric.removeprefix("cv.").removeprefix("validation.")
