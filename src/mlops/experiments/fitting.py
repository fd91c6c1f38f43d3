"""How long `fit` took, of estimators that are fitted while a run is open, and on which rows.

Nobody passes through the tracker to fit a model. So while any run is open the `fit` of the estimator classes that are
imported, scikit-learn's and those that derive from it (XGBoost, LightGBM), is one that takes the time; when the last
run ends the classes have their own again. What is not such a class is not timed: `train_time_seconds=` says it.
"""

from __future__ import annotations

import functools
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from mlops.experiments import surroundings

Fit = Callable[..., Any]


@dataclass(frozen=True)
class Fitted:
    """One call of `fit`. x, y: the rows; None for a fit inside another one (a step, a fold)."""

    seconds: float
    x: Any = None
    y: Any = None


@dataclass
class Watch:
    """The fits of one run, in the thread that opened it."""

    depth: int = 0
    found: list[tuple[Callable[[], Any], Fitted]] = field(default_factory=list)

    def of(self, model: Any) -> Fitted | None:
        """The last time that a model was fitted here; None where it was not."""
        return next((fitted for known, fitted in reversed(self.found) if known() is model), None)

    def learnt(self, model: Any, x: Any) -> bool:
        """Whether these are the rows that a model was fitted on here.

        Of a model that was fitted inside another's fit (the best of a search) the rows are those of any such fit.
        """
        own = self.of(model)
        if own is None:
            return False
        fits = [own] if own.x is not None else [fitted for _, fitted in self.found if fitted.x is not None]
        return any(_same(x, fitted.x) for fitted in fits)


def reference(model: Any) -> Callable[[], Any]:
    """What gives a model while it lives, and does not keep it alive where its class allows that."""
    try:
        return weakref.ref(model)
    except TypeError:  # a class with __slots__
        return lambda: model


def _same(x: Any, other: Any) -> bool:
    """Whether rows are the same: one object, or the same values in the same columns."""
    if x is other:
        return True
    if getattr(x, "shape", None) != getattr(other, "shape", None) or type(x) is not type(other):
        return False
    return bool(surroundings.data(x)["sha256"] == surroundings.data(other)["sha256"])


_watch: ContextVar[Watch | None] = ContextVar("mlops_fits", default=None)


class _Classes:
    """The classes whose `fit` is timed now. open: how many runs are."""

    def __init__(self) -> None:
        self.lock, self.open = threading.RLock(), 0
        self.own: dict[type, Fit] = {}

    def wrap(self) -> None:
        """Time the classes that are imported by now."""
        base: type | None = getattr(sys.modules.get("sklearn.base"), "BaseEstimator", None)
        with self.lock:
            kinds: list[Any] = list(_below(base)) if base is not None and self.open else []
            for kind in kinds:
                fit = vars(kind).get("fit")
                if callable(fit) and kind not in self.own:
                    self.own[kind] = fit
                    kind.fit = _timed(fit)

    def restore(self) -> None:
        """Give the classes their own `fit` again."""
        with self.lock:
            for kind, fit in self.own.items():
                kind.fit = fit  # type: ignore[attr-defined]
            self.own.clear()


_classes = _Classes()


@contextmanager
def watched() -> Iterator[Watch]:
    """Time the fits of this thread."""
    watch = Watch()
    with _classes.lock:
        _classes.open += 1
        _classes.wrap()
    outside = _watch.get()
    _watch.set(watch)
    try:
        yield watch
    finally:
        _watch.set(outside)
        with _classes.lock:
            _classes.open -= 1
            if not _classes.open:
                _classes.restore()


def look_again() -> None:
    """Time classes too that were imported since the run was opened."""
    _classes.wrap()


def _below(base: type) -> Iterator[type]:
    seen: set[type] = set()
    waiting: list[type] = [base]
    while waiting:
        kinds: list[type] = waiting.pop().__subclasses__()
        for kind in kinds:
            if kind not in seen:
                seen.add(kind)
                waiting.append(kind)
                yield kind


def _timed(fit: Fit) -> Fit:
    @functools.wraps(fit)
    def timed(self: Any, *given: Any, **named: Any) -> Any:
        # Imported here: a class of a notebook is pickled by value for other processes, and with it what this refers to.
        from mlops.experiments import fitting

        return fitting.take(fit, self, given, named)

    return timed


def take(fit: Fit, model: Any, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Call `fit` of a model and note the time, where a run is open in this thread."""
    watch = _watch.get()
    if watch is None:
        return fit(model, *given, **named)
    watch.depth += 1
    started = time.perf_counter()
    try:
        result = fit(model, *given, **named)
        seconds = time.perf_counter() - started
    finally:
        watch.depth -= 1
    x = given[0] if given else named.get("X")
    y = given[1] if len(given) > 1 else named.get("y")
    fitted = Fitted(seconds) if watch.depth else Fitted(seconds, x, y)
    watch.found = [(known, f) for known, f in watch.found if known() is not None]
    watch.found.append((reference(model), fitted))
    return result
