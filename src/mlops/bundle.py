"""The served model, models/serving/: what training writes and batch and service load. No pickle, no scikit-learn.

    model.onnx         the trees (or the linear model): float32 matrix → raw score
    encoder.json       raw values → matrix (mlops.encode)
    calibrator.json    raw score → probability
    signature.json     what a client sends: columns, kinds, levels, an example
    profile.json       how training rows and scores were distributed
    booster.json       XGBoost's own format, for scoring in bulk (model: xgboost only)
    explainer.json     what tells the features' parts of a score (mlops.contributions), with trees.npy beside it
    manifest.json      digests of all these, the model's kind, threshold and parameters

Every digest is checked before anything is parsed.
"""

from __future__ import annotations

import hashlib
import json
import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from mlops import contributions
from mlops.contributions import Explainer
from mlops.encode import Encoder, Matrix
from mlops.errors import BundleError
from mlops.features import Floats, Scalar, Values

FORMAT = 1
MANIFEST = "manifest.json"
NEEDED = ("model.onnx", "encoder.json", "calibrator.json", "signature.json", "profile.json")
READ = (*NEEDED, *contributions.FILES)
"""Files that a loaded bundle is made of; of others only the digest is checked."""
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
        """The probability of one raw score, the same bits as `many` gives."""
        if self.score == "probability":
            raw = min(max(raw, SMALLEST), 1 - SMALLEST)
            raw = float(np.log(raw / (1 - raw)))  # NumPy's: math.log and math.exp may differ from it in the last bit
        x = -(self.slope * raw + self.intercept)
        return 1 / (1 + float(np.exp(min(x, 700.0))))

    def many(self, raw: Floats) -> Floats:
        """The probabilities of raw scores, shape (rows,)."""
        if self.score == "probability":
            raw = np.clip(raw, SMALLEST, 1 - SMALLEST)
            raw = np.log(raw / (1 - raw))
        x = -(self.slope * raw + self.intercept)
        result: Floats = 1 / (1 + np.exp(np.minimum(x, 700.0)))
        return result


class _OneRow:
    """Scores one row at a time in memory that is bound to the session once; each thread needs its own."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        (x,), (score,) = session.get_inputs(), session.get_outputs()
        self._row = np.zeros((1, x.shape[1]), dtype=np.float32)
        self._score = np.zeros((1, 1), dtype=np.float64 if score.type == "tensor(double)" else np.float32)
        binding = session.io_binding()
        # On a CPU an OrtValue is the array's own memory, not a copy.
        binding.bind_ortvalue_input(x.name, onnxruntime.OrtValue.ortvalue_from_numpy(self._row))
        binding.bind_ortvalue_output(score.name, onnxruntime.OrtValue.ortvalue_from_numpy(self._score))
        self._binding = getattr(binding, "_iobinding", binding)
        self._options = onnxruntime.RunOptions()
        self._run = _unchecked(session).run_with_iobinding

    def score(self, matrix: Matrix) -> float:
        """The raw score of a matrix of shape (1, width)."""
        self._row[:] = matrix
        self._run(self._binding, self._options)
        return float(self._score.item())


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
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._options = onnxruntime.RunOptions()
        self._run = _unchecked(self._session).run
        self._of_thread = threading.local()
        self._explainer: Explainer | None = None
        self._explainer_files = {name: files[name] for name in contributions.FILES if name in files}
        self._explainer_lock = threading.Lock()
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
        out = self._run(self._outputs, {"x": matrix}, self._options)[0]
        return np.asarray(out, dtype=np.float64).reshape(-1)

    def score_columns(self, raw: Mapping[str, Values]) -> tuple[Floats, Floats]:
        """Raw columns → (raw scores, probabilities), each of shape (rows,)."""
        scores = self.raw_scores(self.encoder.columns(raw))
        return scores, self.calibrator.many(scores)

    def score_row(self, raw: Mapping[str, Scalar]) -> tuple[float, float]:
        """One row's raw values → (raw score, probability)."""
        _, score, probability = self.row(raw)
        return score, probability

    def row(self, raw: Mapping[str, Scalar]) -> tuple[Matrix, float, float]:
        """One row's raw values → (its matrix row, shape (1, width), raw score, probability)."""
        matrix = self.encoder.row(raw)
        try:
            one: _OneRow = self._of_thread.one
        except AttributeError:
            one = self._of_thread.one = _OneRow(self._session)
        score = one.score(matrix)
        return matrix, score, self.calibrator.one(score)

    def explainer(self) -> Explainer:
        """What tells the features' parts of a score; read when it is first asked for.

        Raises:
            BundleError: the bundle was made without one, or it does not belong to this model.
        """
        with self._explainer_lock:
            if self._explainer is None:
                found = contributions.load(self._explainer_files)
                if found.width != self.encoder.width:
                    raise BundleError(
                        f"the encoder makes {self.encoder.width} columns, the explainer reads {found.width};"
                        " make the model again with `dvc repro`"
                    )
                self._explainer = found
                self._explainer_files.clear()
            return self._explainer


def _session(model: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    # One thread: two do not make one row faster, and a busy neighbour makes their tail eighty times slower.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False  # it keeps the memory of the largest call, and saves no time
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own unnamed classes
        raise BundleError(f"model.onnx cannot be loaded ({error}); make it again with `dvc repro`") from error


def _unchecked(session: onnxruntime.InferenceSession) -> Any:
    """What the public class calls after checks that, at every call, take twice as long as a row's score."""
    return getattr(session, "_sess", session)


def load(folder: Path | str) -> Bundle:
    """Load a bundle after checking every file against its manifest.

    Raises:
        BundleError: a file is missing, altered, or of a format this version does not read.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    files = {name: _checked(folder / name, digest, name in READ) for name, digest in manifest["files"].items()}
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


def _checked(path: Path, digest: str, wanted: bool) -> bytes:
    """The file's content, nothing of it unless wanted: it is then never in memory as a whole."""
    try:
        with path.open("rb") as file:
            content = file.read() if wanted else b""
            found = (hashlib.sha256(content) if wanted else hashlib.file_digest(file, "sha256")).hexdigest()
    except FileNotFoundError:
        raise BundleError(f"{path} is missing; `dvc checkout {path.parent}` brings it back") from None
    except OSError as error:
        raise BundleError(f"{path} cannot be read ({error}); `dvc checkout --force {path.parent}`") from error
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
