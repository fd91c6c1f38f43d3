"""Plots of a run, written by DVCLive: figures, images, points, and curves of scored rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import ExperimentError, nearest, one_line
from mlops.experiments import plain

if TYPE_CHECKING:
    from mlops.experiments.finish import RunLive
    from mlops.experiments.journal import Journal

CURVES = ("roc", "precision_recall", "calibration", "det", "confusion_matrix")
"""Plots that scikit-learn computes from labels and probabilities, or (confusion_matrix) predicted labels."""
FOLDER = "metrics/notebook"


def log(live: RunLive, name: str, data: Any, x: str | None, y: str | list[str] | None) -> dict[str, str]:
    """Write a plot.

    Args:
        live: DVCLive of the run.
        name: of the plot; one of CURVES where data is (labels, probabilities).
        data: a figure of matplotlib, an image (array, PIL, path), points (a frame, or a list of mappings), or a pair.
        x, y: columns of the points.

    Returns:
        What dvc.yaml says of it: path → how it is shown.

    Raises:
        ExperimentError: it is nothing that can be plotted.
    """
    plain.path(name)
    if isinstance(data, tuple) and len(data) == 2:
        _curve(live, name, *data)
    elif isinstance(data, list) or hasattr(data, "columns"):
        _points(live, name, data, x, y)
    else:
        return _image(live, name, data)
    path, shown = live.plot(name)
    return {f"{FOLDER}/{path}": json.dumps(shown)}


def point(run: Journal, name: str, step: int, number: float) -> None:
    """Append a point to the curve of a metric, in DVCLive's format."""
    plain.path(name)
    head = io.StringIO()
    csv.writer(head, delimiter="\t", lineterminator="\n").writerow(["step", name.rpartition("/")[2]])
    if run.append(f"live/plots/metrics/{name}.tsv", f"{step}\t{number}\n".encode(), head.getvalue().encode()):
        run.add("plots", values={f"{FOLDER}/plots/metrics": '{"x": "step"}'})


def _curve(live: RunLive, name: str, labels: Any, predictions: Any) -> None:
    if name not in CURVES:
        raise ExperimentError(f"{name!r} is no curve of labels and predictions{nearest(name, CURVES)}: {CURVES}")
    try:
        live.log_sklearn_plot(name, labels, predictions)
    except (ValueError, TypeError) as error:  # scikit-learn's
        raise ExperimentError(f"plot {name}: {one_line(error)}; give as many labels, 0 or 1, as predictions") from error


def _points(live: RunLive, name: str, data: Any, x: str | None, y: str | list[str] | None) -> None:
    if x is None or y is None:
        raise ExperimentError(f"plot {name} of points: say which columns, log_plot({name!r}, points, x=…, y=…)")
    is_list = isinstance(data, list)
    if is_list and not all(isinstance(row, Mapping) for row in data):
        raise ExperimentError(f"plot {name}: points are a frame, or a list of mappings such as {{{x!r}: 1, {y!r}: 2}}")
    known = dict.fromkeys(str(key) for row in data for key in row) if is_list else [str(key) for key in data.columns]
    for column in (x, *([y] if isinstance(y, str) else y)):
        if column not in known:
            raise ExperimentError(f"plot {name}: the points have no {column!r}{nearest(column, known)}: {list(known)}")
    live.log_plot(name, data, x=x, y=y)


def _image(live: RunLive, name: str, data: Any) -> dict[str, str]:
    suffix = Path(name).suffix or (Path(data).suffix if isinstance(data, (str, Path)) else "") or ".png"
    try:
        live.log_image(str(Path(name).with_suffix(suffix)), data)
    except ImportError as error:
        raise ExperimentError(f"plot {name}: this needs {error.name}, which is not installed") from error
    except Exception as error:  # DVCLive's and Pillow's own
        if isinstance(error, OSError):
            raise
        raise ExperimentError(
            f"plot {name}: {type(data).__name__} is no figure, image, list of points or (labels, probabilities)"
        ) from error
    return {f"{FOLDER}/plots/images": "{}"}
