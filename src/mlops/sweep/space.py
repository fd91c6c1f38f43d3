"""The space of a sweep: which params are tried, checked against params.yaml before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from mlops import params as parameters
from mlops.errors import ParamsError, PolicyError, nearest
from mlops.model import kinds
from mlops.params import VIEWS, Hyperparameters, Params
from mlops.policy import PATH, Searched

if TYPE_CHECKING:
    from optuna.trial import Trial

Settings = dict[str, Any]
"""Dotted key of params.yaml → the value that a trial gives it."""

DIGITS = 6
"""Of a number that is drawn: what params.yaml shows is what was tried."""
MEASURES = ("decision.value_saved", "decision.cost_contact")
"""What metrics are made of: trials with other values of them could not be compared."""


@dataclass(frozen=True)
class Space:
    """What is tried, on top of a params.yaml.

    Args:
        params: dotted key → its values.
        document: params.yaml as it is.
    """

    params: Mapping[str, Searched]
    document: Mapping[str, Any]

    def suggest(self, trial: Trial, before: Callable[[int], None]) -> Settings:
        """Ask for a value of each param that matters, given those before it. before: called with its place first."""
        found: Settings = {}
        for place, (name, searched) in enumerate(self.params.items()):
            if self._matters(name, searched, found):
                before(place)
                found[name] = _ask(trial, name, searched)
        return found

    def with_settings(self, settings: Settings) -> Params:
        """params.yaml with the settings."""
        return parameters.parse(_with(self.document, settings))

    def whole(self, settings: Settings) -> Settings:
        """The settings, and null for what params.yaml sets and their kind of model has no use for."""
        kind = settings.get("model", self.document["model"])
        useless = set(Hyperparameters.model_fields) - kinds.DEFAULTS[kind].keys()
        return settings | {name: None for name in sorted(useless) if self.document[name] is not None}

    def today(self) -> Settings:
        """The values of params.yaml as it is, as far as the space has them; the nearest where it does not."""
        found: Settings = {}
        for name, searched in self.params.items():
            if self._matters(name, searched, {}):
                found[name] = nearest_value(searched, self._now(name))
        return found

    def now(self) -> Settings:
        """What params.yaml says, as it is, of the params that are tried."""
        return {name: get(self.document, name) for name in self.params}

    def _now(self, name: str) -> Any:
        value = get(self.document, name)
        if value is None and name in Hyperparameters.model_fields:
            return kinds.DEFAULTS[self.document["model"]].get(name)
        return value

    def _matters(self, name: str, searched: Searched, chosen: Settings) -> bool:
        kind = chosen.get("model", self.document["model"])
        if name in Hyperparameters.model_fields and name not in kinds.DEFAULTS[kind]:
            return False
        for key, wanted in searched.when.items():
            value = chosen.get(key, get(self.document, key))
            if value not in (wanted if isinstance(wanted, list) else [wanted]):
                return False
        return True


def checked(params: Mapping[str, Searched], document: Mapping[str, Any]) -> Space:
    """The space, if every name and value of it is one that params.yaml takes.

    Raises:
        PolicyError: names the param and what is wrong with it.
    """
    if not params:
        raise PolicyError(f"{PATH}: sweep.params names nothing to try; add one, such as max_depth: {{low: 2, high: 8}}")
    params = {name: params[name] for name in sorted(params, key=lambda name: name != "model")}  # what decides on others
    known = list(_keys(document))
    for place, (name, searched) in enumerate(params.items()):
        where = f"{PATH}: sweep.params.{name}"
        _known(name, known, where)
        for key in searched.when:
            if key not in known:
                raise PolicyError(f"{where}: when names {key}, which params.yaml lacks{nearest(key, known)}")
            if key in list(params)[place:]:
                raise PolicyError(f"{where}: when names {key}, which has to stand above it")
        for value in _values(searched):
            try:
                parameters.parse(_with(document, {name: value}))
            except ParamsError as error:
                said = str(error).removeprefix(f"{parameters.PATH}: ")
                raise PolicyError(f"{where}: {said}") from None
    space = Space(params, document)
    kinds_tried = params["model"].choices if "model" in params else None
    if not any(_useful(space, name, str(kind)) for name in params for kind in kinds_tried or [document["model"]]):
        raise PolicyError(f"{PATH}: sweep.params has nothing that model {document['model']} has a use for")
    return space


def _useful(space: Space, name: str, kind: str) -> bool:
    return space._matters(name, space.params[name], {"model": kind}) or bool(space.params[name].when)


def _known(name: str, known: list[str], where: str) -> None:
    read = [key for key in known if key not in MEASURES and any(_below(key, view) for view in VIEWS["train"])]
    if name in read:
        return
    if name in MEASURES:
        raise PolicyError(f"{where}: what metrics are made of cannot be searched; change params.yaml instead")
    if name in known:
        raise PolicyError(f"{where}: it changes rows or features, which a sweep loads once; use `dvc exp run --queue`")
    raise PolicyError(f"{where}: params.yaml has no such key{nearest(name, read)}")


def _below(key: str, view: str) -> bool:
    return key == view or key.startswith(f"{view}.")


def _ask(trial: Trial, name: str, searched: Searched) -> Any:
    if searched.choices is not None:
        return trial.suggest_categorical(name, searched.choices)
    low, high, step = _range(searched)
    if searched.is_whole:
        return trial.suggest_int(name, int(low), int(high), step=int(step or 1), log=searched.log)
    found = trial.suggest_float(name, low, high, step=step or None, log=searched.log)
    return min(max(float(f"{found:.{DIGITS}g}"), low), high)


def _range(searched: Searched) -> tuple[float, float, float]:
    """Lowest and highest value, and the step between them (0: any)."""
    assert searched.low is not None
    assert searched.high is not None
    low, high, step = float(searched.low), float(searched.high), float(searched.step or 0)
    if step:  # in decimals, as Optuna counts: 0.1 + 2 · 0.1 is 0.3
        ends = [Decimal(str(v)) for v in (low, high, step)]
        high = float(ends[0] + (ends[1] - ends[0]) // ends[2] * ends[2])
    return low, high, step


def nearest_value(searched: Searched, value: Any) -> Any:
    """The value of a param that is nearest to one that it may not have."""
    if searched.choices is not None:
        return value if value in searched.choices else searched.choices[0]
    low, high, step = _range(searched)
    known = isinstance(value, (int, float)) and not isinstance(value, bool)
    inside = min(max(float(value), low), high) if known else low
    if step:
        inside = float(Decimal(str(low)) + round((inside - low) / step) * Decimal(str(step)))
    return round(inside) if searched.is_whole else inside


def get(document: Mapping[str, Any], key: str) -> Any:
    """The value at a dotted key; None where there is none."""
    value: Any = document
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _with(document: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    made = deepcopy(dict(document))
    for key, value in settings.items():
        *parents, last = key.split(".")
        section = made
        for parent in parents:
            section = section[parent]
        section[last] = value
    return made


def _keys(document: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in document.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _values(searched: Searched) -> list[Any]:
    if searched.choices is not None:
        return list(searched.choices)
    make = int if searched.is_whole else float
    return [make(end) for end in (searched.low, searched.high) if end is not None]
