"""deploy/edge/score.py, which shares no code with the library, gives the library's probabilities."""

import importlib.util
import json
from datetime import date, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from mlops.features import Plan
from tests.unit.models import KINDS, Fitted, saved, simulated, to_scalars

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def edge() -> ModuleType:
    spec = importlib.util.spec_from_file_location("edge_score", ROOT / "deploy" / "edge" / "score.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    record = {k: None if isinstance(v, float) and v != v else v for k, v in row.items()}
    if record["since"] is not None:
        record["since"] = str(date(1970, 1, 1) + timedelta(days=record["since"]))
    loaded: dict[str, Any] = json.loads(json.dumps(record))
    return loaded


@pytest.mark.parametrize("kind", KINDS)
def test_it_scores_as_the_library_does(
    edge: ModuleType, fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, kind: str
) -> None:
    loaded = saved(kind, fitted[kind], plan, tmp_path)
    rows = to_scalars(plan, simulated(25, 7)[0])
    rows.append({**rows[0], "plan [a,b]": "never seen", "region": "nowhere"})
    rows.append({**rows[0], "plan [a,b]": None, "region": None, "sessions": 0.0})
    for row in rows:
        assert edge.score(tmp_path, as_json(row)) == pytest.approx(loaded.score_row(row)[1], abs=1e-9)
