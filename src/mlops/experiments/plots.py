"""Plots of a run, written by DVCLive: figures, images, points, and curves of scored rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops.errors import ExperimentError, nearest
from mlops.experiments import plain

if TYPE_CHECKING:
    from mlops.experiments.finish import RunLive

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
        if name not in CURVES:
            raise ExperimentError(f"{name!r} is no curve of labels and predictions{nearest(name, CURVES)}: {CURVES}")
        live.log_sklearn_plot(name, *data)
    elif isinstance(data, list) or hasattr(data, "to_dict"):
        if x is None or y is None:
            raise ExperimentError(f"plot {name} of points: say which columns, log_plot({name!r}, points, x=…, y=…)")
        live.log_plot(name, data, x=x, y=y)
    else:
        return _image(live, name, data)
    path, shown = live.plot(name)
    return {f"{FOLDER}/{path}": json.dumps(shown)}


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
