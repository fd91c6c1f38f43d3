"""What serves at one moment: variants of the model side by side, and which customer gets which."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from api.contract import Contract
from mlops import bundle, production
from mlops.bundle import Bundle
from mlops.errors import BundleError, MlopsError

SALT = b"churn variants"
UNPROMOTED = "unpromoted"


class Variant:
    """One loaded version in one role.

    name: the role, a stage's name; digest: sha256 of its manifest; stamp: what each of its predictions says of it, as
    members of a JSON object.
    """

    def __init__(self, name: str, folder: Path, release: Mapping[str, Any], loaded: Bundle) -> None:
        self.name, self.folder, self.release, self.bundle = name, folder, dict(release), loaded
        self.version = str(release["version"])
        self.commit: str | None = release.get("commit")
        self.promoted = bool(release.get("promoted", True))
        self.digest = str(release["digests"]["manifest"])
        self.model = str(loaded.manifest["name"])
        self.contract = Contract(loaded)
        facts = {"model": self.model, "version": self.version, "variant": name, "commit": self.commit}
        self.stamp = msgspec.json.encode(facts)[1:-1].decode("utf-8")

    def stranger(self, main: Variant) -> str | None:
        """A column that it reads and `main` does not, or otherwise: clients of `main` would not send it so."""
        kinds = {f.name: f.kind for f in main.contract.fields}
        return next((f.name for f in self.contract.fields if kinds.get(f.name) != f.kind), None)

    def warm_up(self) -> None:
        """Score what the service is going to score, so that no client pays for the first time.

        Raises:
            BundleError: the model cannot score its own example.
        """
        try:
            example = self.contract.example()
            texts = [f.name for f in self.contract.fields if f.kind == "text"]
            table = self.contract.from_records([example])
            for row in ({name: _scalar(values) for name, values in table.columns.items()},) * 3:
                self.bundle.score_row(row)
                self.bundle.score_row(row | dict.fromkeys(texts, "All fine so far."))
            self.bundle.score_columns(table.columns)
        except BundleError:
            raise
        except Exception as error:  # whatever it is: a model that fails on its own example must not serve
            raise BundleError(
                f"{self.folder} cannot score its own example ({error!r}); make the model again"
            ) from error


def _scalar(values: Any) -> float | str | None:
    if isinstance(values, np.ndarray):
        return float(values[0])
    return None if values.codes[0] < 0 else str(values.levels[values.codes[0]])


def load(name: str, folder: Path, *, promoted: bool) -> Variant:
    """Load and warm up a version; promoted ones must be the model that their release names.

    Raises:
        BundleError: says what is wrong with it.
    """
    if promoted and not folder.is_dir():
        raise BundleError(f"{folder} is not there, though state.json names it; promote the version again")
    digest = production.manifest_digest(folder)
    if promoted:
        release = production.read_release(folder)
        if release["digests"]["manifest"] != digest:
            raise BundleError(f"{folder} holds another model than its release.json names; promote the version again")
    else:
        release = {"version": f"{UNPROMOTED}-{digest[:8]}", "promoted": False, "digests": {"manifest": digest}}
    try:
        variant = Variant(name, folder, release, bundle.load(folder))
    except MlopsError as error:
        if not promoted:
            raise
        # DVC does not know this folder: what the error advises for the workspace's model would not help here.
        raise BundleError(f"{str(error).split(';')[0]}; promote the version again") from error
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise BundleError(f"{folder} is not a served model ({error!r}); make it again with `dvc repro`") from error
    variant.warm_up()
    return variant


@dataclass(frozen=True)
class Serving:
    """An immutable picture of what serves. Whoever answers a request takes one, once: versions never mix.

    main: the stage's own version; variants: all that answer, by name; weights: shares of customers of the others.
    """

    main: Variant
    variants: Mapping[str, Variant]
    weights: Mapping[str, float]
    shadow: Variant | None = None
    _bounds: Sequence[float] = field(init=False, repr=False)
    _others: Sequence[Variant] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        names = sorted(n for n, w in self.weights.items() if w > 0 and n in self.variants and n != self.main.name)
        bounds = np.cumsum([self.weights[name] for name in names]).tolist()
        object.__setattr__(self, "_bounds", bounds)
        object.__setattr__(self, "_others", [self.variants[name] for name in names])

    @property
    def split(self) -> bool:
        """Whether more than one variant answers."""
        return bool(self._others)

    def route(self, customer: str | None) -> Variant:
        """The variant of a customer: the same one for the same id, in every worker, after every restart.

        A raised weight keeps the customers a variant has and adds others. Without an id: the stage's own version.
        """
        if customer is None or not self._others:
            return self.main
        place = bisect_right(self._bounds, share(customer))
        return self._others[place] if place < len(self._others) else self.main

    def every(self) -> list[Variant]:
        """All loaded variants, the shadow too."""
        return [*self.variants.values(), *([self.shadow] if self.shadow else [])]


def share(customer: str) -> float:
    """A customer's place in [0, 1): BLAKE2b of the id, salted, so that it says nothing of other splits of customers."""
    digest = hashlib.blake2b(customer.encode("utf-8", "surrogatepass"), digest_size=8, salt=SALT).digest()
    return int.from_bytes(digest, "big") / 2**64
