"""What a trial's commit holds: the working tree with the trial's params and what was measured.

It has no model. Its dvc.lock still names that of the working tree, since `dvc exp apply` refuses a lock without the
outputs of a stage; that metrics/evaluate is missing tells such a commit from one that the pipeline ran for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops.bundle import to_json
from mlops.experiments import board, splice
from mlops.sweep.space import Settings
from mlops.sweep.workspace import Workspace

RECORD = board.TRIAL
METRICS = "metrics/sweep/metrics.json"
EVALUATED = "metrics/evaluate"
PARAMS, PIPELINE = "params.yaml", "dvc.yaml"


def changes(workspace: Workspace, settings: Settings, record: Mapping[str, Any]) -> dict[str, bytes | None]:
    """Path → content of the files that HEAD has otherwise; None for what the trial does not have.

    Args:
        workspace: what the trial was measured in.
        settings: its params.
        record: what is told of it; `metrics` of it are what `dvc exp show` shows.
    """
    made: dict[str, bytes | None] = {
        path: content for path, content in workspace.changed.items() if not path.startswith(f"{EVALUATED}/")
    }
    made[EVALUATED] = None
    made[PARAMS] = splice.with_values(workspace.text(PARAMS), settings).encode()
    text = workspace.text(PIPELINE)
    made[PIPELINE] = (text if METRICS in text else splice.with_items(text, "metrics", [METRICS])).encode()
    made[METRICS] = to_json(record["metrics"])
    made[RECORD] = to_json(dict(record))
    return made
