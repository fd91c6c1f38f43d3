"""The served model, models/serving/: what training writes and batch and service load. No pickle, no scikit-learn.

    model.onnx         the trees (or the linear model): float32 matrix → raw score
    encoder.json       raw values → matrix (mlops.encode)
    calibrator.json    raw score → probability
    signature.json     what a client sends: columns, kinds, levels, an example
    profile.json       how training rows and scores were distributed
    booster.json       XGBoost's own format, for scoring in bulk (model: xgboost only)
    manifest.json      digests of all these, the model's kind, threshold and parameters

Every digest is checked before anything is parsed.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mlops.encode import Encoder, Matrix
from mlops.errors import BundleError
from mlops.features import Floats, Scalar, Values

FORMAT = 1
MANIFEST = "manifest.json"
NEEDED = ("model.onnx", "encoder.json", "calibrator.json", "signature.json", "profile.json")
SCORES = ("log_odds", "probability")
SMALLEST = 1e-7
"""Probabilities of forests are cut to [SMALLEST, 1 − SMALLEST] before their log-odds are taken."""


@dataclass(frozen=True)
class Calibrator:
    """Raw score → probability: sigmoid(slope · log-odds + intercept), Platt (1999). Slope 1, intercept 0: as it is.

    `score` says what the raw score is: log_odds, or probability (forests), whose log-odds are taken first.
    """

    score: str
    slope: float = 1.0
    intercept: float = 0.0

    def one(self, raw: float) -> float:
        """The probability of one raw score."""
        if self.score == "probability":
            raw = min(max(raw, SMALLEST), 1 - SMALLEST)
            raw = math.log(raw / (1 - raw))
        x = -(self.slope * raw + self.intercept)
        return 1 / (1 + math.exp(min(x, 700.0)))

    def many(self, raw: Floats) -> Floats:
        """The probabilities of raw scores, shape (rows,)."""
        if self.score == "probability":
            raw = np.clip(raw, SMALLEST, 1 - SMALLEST)
            raw = np.log(raw / (1 - raw))
        x = -(self.slope * raw + self.intercept)
        result: Floats = 1 / (1 + np.exp(np.minimum(x, 700.0)))
        return result


class Bundle:
    """A loaded model. Scoring is thread-safe and always on one thread."""

    def __init__(self, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
        self.manifest = dict(manifest)
        self.encoder = Encoder.from_json(json.loads(files["encoder.json"]))
        self.calibrator = Calibrator(**json.loads(files["calibrator.json"]))
        self.signature: dict[str, Any] = json.loads(files["signature.json"])
        self.profile: dict[str, Any] = json.loads(files["profile.json"])
        self.threshold: float = float(manifest["threshold"])
        self._session = _session(files["model.onnx"])
        self._check()

    def _check(self) -> None:
        """Parts that were put together wrongly must not serve: their digests would be right all the same."""
        wrong = None
        if not 0 <= self.threshold <= 1:
            wrong = f"threshold {self.threshold} is no probability"
        elif self._session.get_inputs()[0].shape[1] != self.encoder.width:
            wrong = f"the encoder makes {self.encoder.width} columns, the model reads another number"
        elif [i["name"] for i in self.signature["inputs"]] != [i.name for i in self.encoder.plan.inputs]:
            wrong = "signature and encoder name other columns"
        elif self.calibrator.score not in SCORES or not math.isfinite(
            self.calibrator.slope + self.calibrator.intercept
        ):
            wrong = "the calibrator is none"
        if wrong:
            raise BundleError(f"{wrong}; make the model again with `dvc repro`")

    def raw_scores(self, matrix: Matrix) -> Floats:
        """Raw scores of encoded rows, shape (rows,): log-odds, or probabilities for forests."""
        out = self._session.run(None, {"x": matrix})[0]
        return np.asarray(out, dtype=np.float64).reshape(-1)

    def score_columns(self, raw: Mapping[str, Values]) -> tuple[Floats, Floats]:
        """Raw columns → (raw scores, probabilities), each of shape (rows,)."""
        scores = self.raw_scores(self.encoder.columns(raw))
        return scores, self.calibrator.many(scores)

    def score_row(self, raw: Mapping[str, Scalar]) -> tuple[float, float]:
        """One row's raw values → (raw score, probability)."""
        score = float(self._session.run(None, {"x": self.encoder.row(raw)})[0].item())
        return score, self.calibrator.one(score)


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One thread: two do not make one row faster, and a busy neighbour makes their tail eighty times slower.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own unnamed classes
        raise BundleError(f"model.onnx cannot be loaded ({error}); make it again with `dvc repro`") from error


def load(folder: Path | str) -> Bundle:
    """Load a bundle after checking every file against its manifest.

    Raises:
        BundleError: a file is missing, altered, or of a format this version does not read.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    files = {name: _checked(folder / name, digest) for name, digest in manifest["files"].items()}
    missing = [name for name in NEEDED if name not in files]
    if missing:
        raise BundleError(f"{folder / MANIFEST} does not list {missing[0]}; make the model again with `dvc repro`")
    try:
        return Bundle(files, manifest)
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{folder} is not a served model ({error!r}); make it again with `dvc repro`") from error


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(f"{path} is missing; make the model with `dvc repro`, or fetch it with `dvc pull`") from None
    except (ValueError, OSError) as error:
        raise BundleError(f"{path} cannot be read ({error}); `dvc checkout --force {folder}` brings it back") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or not _named_digests(manifest.get("files")):
        raise BundleError(f"{path}: this version reads format {FORMAT}; make the model again with `dvc repro`")
    return manifest


def _named_digests(files: object) -> bool:
    return isinstance(files, dict) and all(isinstance(v, str) and Path(k).name == k for k, v in files.items())


def _checked(path: Path, digest: str) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BundleError(f"{path} is missing; `dvc checkout {path.parent}` brings it back") from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error}); `dvc checkout --force {path.parent}`") from error
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise BundleError(
            f"{path} is not what its manifest says (sha256 {found[:12]}…, expected {digest[:12]}…);"
            f" `dvc checkout --force {path.parent}` brings it back"
        )
    return content


def save(folder: Path, files: Mapping[str, bytes], facts: Mapping[str, Any]) -> None:
    """Write the files of a bundle and a manifest of their digests, with `facts` (kind, threshold, params …) in it."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    (folder / MANIFEST).write_bytes(to_json({"format": FORMAT, **facts, "files": digests}))


def to_json(document: Any) -> bytes:
    """The one way that files of ours are written as JSON: same document, same bytes."""
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8")
