"""What should serve, given what stands in models/production/ and what serves now."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from api.models.variant import Serving, Variant, load
from api.settings import Settings
from mlops import production
from mlops.errors import BundleError, MlopsError, one_line
from mlops.production import State

CANARY, SHADOW, MAIN_STAGE = "canary", "shadow", "prod"
POLICY = "policy"


class Trouble(NamedTuple):
    """Why a stage's wanted version does not serve. kind: state, policy, unpromoted, model, signature or fault."""

    stage: str
    version: str | None
    kind: str
    reason: str


class Choice:
    """One look at the folder: `serving` is what should serve from now on, `troubles` what stands in the way of more.

    Whatever cannot be had is left as it is: a broken state, policy or model never takes away what serves.
    """

    def __init__(self, settings: Settings, current: Serving | None) -> None:
        self._settings, self._current = settings, current
        self.troubles: list[Trouble] = []
        self.serving = self._choose()

    def _choose(self) -> Serving | None:
        stage, current = self._settings.stage, self._current
        try:
            state = production.read_state(self._settings.production)
        except BundleError as error:
            return self._trouble("state", error, current)
        if state is not None:
            return self._promoted(state)
        path = self._settings.production / production.STATE
        if current is not None and current.main.promoted:
            return self._trouble("state", BundleError(f"{path} is gone; promote again to bring it back"), current)
        if self._settings.unpromoted == "refuse":
            refused = BundleError(f"{path} is missing: nothing is promoted, and MLOPS_UNPROMOTED=refuse")
            return self._trouble("unpromoted", refused, current)
        main = self._loaded(stage, self._settings.workspace, None)
        return current if main is None else Serving(main, {main.name: main}, {})

    def _trouble(self, kind: str, error: Exception, instead: Serving | None) -> Serving | None:
        self.troubles.append(Trouble(self._settings.stage, None, kind, one_line(error)))
        return instead

    def _promoted(self, state: State) -> Serving | None:
        stage = self._settings.stage
        if stage not in state.stages:
            path, there = self._settings.production / production.STATE, ", ".join(state.stages) or "none"
            error = BundleError(
                f"{path} names no version for stage {stage!r} (it has {there}); promote one, or set MLOPS_STAGE"
            )
            return self._trouble("state", error, self._current)
        main = self._version(state, stage, None)
        if main is None:
            return self._current
        beside = [s for s in (CANARY, SHADOW) if stage == MAIN_STAGE and s in state.stages]
        others = {s: v for s in beside if (v := self._version(state, s, main)) is not None}
        shadow = others.pop(SHADOW, None)
        return Serving(main, {main.name: main, **others}, self._shares(state) if others else {}, shadow)

    def _version(self, state: State, stage: str, main: Variant | None) -> Variant | None:
        version = state.stages[stage]
        wanted = self._loaded(stage, production.folder(self._settings.production, stage, version), version)
        if wanted is None or main is None:
            return wanted
        other = wanted.stranger(main)
        if other is None:
            return wanted
        reason = (
            f"{wanted.folder}: it reads column {other!r}, which clients of {main.version} do not send that way;"
            " promote it where it stands alone"
        )
        self.troubles.append(Trouble(stage, version, "signature", reason))
        return None

    def _loaded(self, stage: str, folder: Path, version: str | None) -> Variant | None:
        """The version in a folder; the old one of the stage when it is refused."""
        old = self._old(stage)
        try:
            if old is not None and old.folder == folder and old.digest == production.manifest_digest(folder):
                return old
            return load(stage, folder, promoted=version is not None)
        except MlopsError as error:
            self.troubles.append(Trouble(stage, version, "model", one_line(error)))
            return old

    def _old(self, stage: str) -> Variant | None:
        if self._current is None:
            return None
        return self._current.shadow if stage == SHADOW else self._current.variants.get(stage)

    def _shares(self, state: State) -> Mapping[str, float]:
        """Shares of customers: state.json's, else policy.yaml's serving.weights, else none.

        What is wrong with them costs nobody the version that was promoted: the shares stay as they are.
        """
        try:
            shares = policy_shares(self._settings.policy) if state.weights is None else state.weights
            unknown = [name for name in shares if name not in (MAIN_STAGE, CANARY)]
            if unknown:
                raise BundleError(f"weights: {unknown[0]} is no variant; {MAIN_STAGE} and {CANARY} are")
        except BundleError as error:
            self.troubles.append(Trouble(self._settings.stage, None, POLICY, one_line(error)))
            return self._current.weights if self._current else {}
        return shares


def policy_shares(path: Path) -> Mapping[str, float]:
    """serving.weights of policy.yaml; none without the file.

    Raises:
        BundleError: they are no shares, or there is no YAML reader here (the container has none).
    """
    if not path.exists():
        return {}
    try:
        import yaml  # only where a canary and a policy file are
    except ModuleNotFoundError:
        raise BundleError(f"{path} cannot be read here: no PyYAML; promotion writes weights to state.json") from None
    try:
        policy = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return production.checked_weights((policy.get("serving") or {}).get("weights") or {})
    except (OSError, ValueError, AttributeError, RecursionError, yaml.YAMLError) as error:
        raise BundleError(f"{path}: {one_line(error)}; correct it") from error
