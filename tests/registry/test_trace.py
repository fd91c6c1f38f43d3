"""From a logged prediction to its version and to the identical number; and what is said where that cannot be."""

from __future__ import annotations

import json
import os
import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops import bundle, cli, features
from mlops.bundle import Bundle
from mlops.encode import Matrix
from mlops.errors import RegistryError
from mlops.features import Floats
from mlops.model import export
from mlops.params import VIEWS, View, parse
from mlops.registry.trace import trace
from tests.registry.predicted import WHEN, registry_of, rows, some
from tests.registry.repository import Bundles, Repository
from tests.registry.traced import change, commit_of, lock_of, log
from tests.service.conftest import EXAMPLE
from tests.service.server import ROOT
from tests.unit.models import SCHEMA, fitted_on, rows_of, simulated

pytestmark = pytest.mark.slow


def test_one_prediction_to_its_version_and_back_to_its_number(promoted: Repository, bundles: Bundles) -> None:
    commit = commit_of(promoted, "v1.0.0")
    made = rows(bundles["v1"], "r-1", [{**EXAMPLE, "customer_id": "C7"}], version="v1.0.0", commit=commit)
    url = log(promoted, made)
    shutil.rmtree(promoted.folder / "models")  # the historical model comes by digest, not from the working tree

    found = trace(registry_of(promoted), url, "r-1")

    (told,) = found["traces"]
    assert found["identical"] is True
    assert told["problem"] is None
    assert told["notes"] == []
    expected = {"version": "v1.0.0", "variant": "prod", "commit": commit, "tag": "churn#prod#1", "why": "the first"}
    assert {key: told[key] for key in expected} == expected
    assert told["since"] == "2026-03-15T13:00:00Z"
    assert told["by"] == {"name": "Ada Tester", "email": "ada@example.org"}
    assert told["params"]["max_depth"] == 3
    outs = {o["path"]: o["md5"] for s in lock_of(promoted, commit).values() for o in s["outs"]}
    assert told["digests"]["model"] == outs["models/serving"]  # the commit's own word counts, not the message's
    assert set(told["metrics"]) >= {"roc_auc", "brier"}
    (one,) = told["predictions"]
    assert (
        one["logged"] == one["again"] == {"raw_score": made[0][8], "probability": made[0][9], "prediction": made[0][10]}
    )
    parts = one["explained"]
    assert sum(c["contribution"] for c in parts["contributions"]) + parts["base"] == pytest.approx(made[0][8], abs=1e-5)
    assert not (promoted.folder / "models").exists()


def test_rows_of_all_variants_are_told_apart(promoted: Repository, bundles: Bundles) -> None:
    first, third = commit_of(promoted, "v1.0.0"), commit_of(promoted, "v1.2.0")
    records, later = some(5), WHEN + timedelta(hours=2)
    url = log(
        promoted,
        rows(bundles["v1"], "r-1", records, version="v1.0.0", commit=first),
        rows(bundles["v3"], "r-1", records, version="v1.2.0", commit=third, variant="shadow", at=later),
        rows(bundles["v2"], "r-2", records, version="v1.1.0", commit=commit_of(promoted, "v1.1.0")),
    )
    registry = registry_of(promoted)
    found = trace(registry, url, "r-1")
    assert [(t["variant"], t["tag"], len(t["predictions"])) for t in found["traces"]] == [
        ("prod", "churn#prod#1", 5),
        ("shadow", "churn#shadow#3", 5),
    ]
    assert found["identical"] is True

    found = trace(registry, url, "r-1", row=3)
    assert [[p["row"] for p in t["predictions"]] for t in found["traces"]] == [[3], [3]]
    assert [t["predictions"][0]["customer"] for t in found["traces"]] == ["C3", "C3"]
    assert found["identical"] is True
    with pytest.raises(RegistryError, match="rows 0 to 4 in the log, counted from 0; there is no row 5"):
        trace(registry, url, "r-1", row=5)


def test_a_linear_model_scores_rows_together_as_they_came(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On some processors, one row of many has another last bit when it is scored alone."""
    model = linear(tmp_path / "linear")
    commit = repository.version(model)
    repository.tag("churn@v1.0.0", commit)
    made = rows(model, "r-1", some(200), version="v1.0.0", commit=commit)
    url = log(repository, made)
    together, raw_scores = [], Bundle.raw_scores

    def counted(self: Bundle, matrix: Matrix) -> Floats:
        together.append(len(matrix))
        return raw_scores(self, matrix)

    monkeypatch.setattr(Bundle, "raw_scores", counted)
    assert trace(registry_of(repository), url, "r-1")["identical"] is True
    assert trace(registry_of(repository), url, "r-1", row=17)["identical"] is True
    assert together == [200, 200]


def linear(folder: Path) -> Path:
    folder.mkdir()
    view = View(parse({**yaml.safe_load((ROOT / "tests/params.yaml").read_text()), "model": "logistic_regression"}),
                VIEWS["train"])  # fmt: skip
    plan = features.plan(SCHEMA, {"sessions": False}, with_sentiment=True)
    train, validation = (rows_of(plan, *simulated(n, seed)) for n, seed in ((1200, 1), (600, 2)))
    made = fitted_on(train, validation, plan, view)
    files = export.files(
        "logistic_regression", made.model.estimator, made.encoder, made.model.calibrator, made.described
    )
    bundle.save(folder, files, {"name": "churn", "model": "logistic_regression", "threshold": made.model.threshold})
    return folder


texts = st.one_of(st.none(), st.sampled_from(["<5", "a,b", "[pro]"]), st.text(max_size=8))
numbers = st.one_of(st.none(), st.floats(-1e30, 1e30), st.integers(-(10**20), 10**20))
dates = st.one_of(
    st.dates().map(str), st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(lambda d: d.isoformat(" ")),
)  # fmt: skip
records = st.fixed_dictionaries({
    "minutes": numbers, "sessions": st.integers(0, 10**9), "auto": st.booleans(), "plan [a,b]": texts, "region": texts,
    "since": dates, "comment": texts,
})  # fmt: skip


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(records, min_size=1, max_size=20), min_size=1, max_size=4))
def test_whatever_was_answered_comes_out_again(
    promoted: Repository, bundles: Bundles, requests: list[list[dict[str, Any]]]
) -> None:
    commit = commit_of(promoted, "v1.0.0")
    ids = [os.urandom(8).hex() for _ in requests]
    named = zip(ids, requests, strict=True)
    named = zip(ids, requests, strict=True)
    batches = [rows(bundles["v1"], name, sent, version="v1.0.0", commit=commit) for name, sent in named]
    url = log(promoted, *batches)
    for name in ids:
        assert trace(registry_of(promoted), url, name)["identical"] is True


def test_a_number_that_differs_is_told_with_its_distance(
    promoted: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = rows(bundles["v1"], "r-1", [EXAMPLE], version="v1.0.0", commit=commit_of(promoted, "v1.0.0"))
    url = log(promoted, made)
    monkeypatch.chdir(promoted.folder)
    assert cli.main(["trace", "r-1", "--log", url]) == 0
    assert "the identical numbers" in capsys.readouterr().out

    change(url, "UPDATE predictions SET raw_score = raw_score + 0.25, probability = 0.999999")
    assert cli.main(["trace", "r-1", "--log", url]) == 1
    said = capsys.readouterr().out
    assert f"NOT what was logged, but probability {made[0][9]}, raw score {made[0][8]!r}" in said
    assert "the raw score by 0.25" in said
    assert cli.main(["trace", "r-1", "--log", url, "--json"]) == 1
    (one,) = json.loads(capsys.readouterr().out)["traces"][0]["predictions"]
    assert one["difference"] == {
        "raw_score": pytest.approx(0.25), "probability": pytest.approx(0.999999 - made[0][9])
    }  # fmt: skip
    change(url, "UPDATE predictions SET raw_score = ?, probability = ?", made[0][8] + 1e-15, made[0][9])
    assert cli.main(["trace", "r-1", "--log", url]) == 1  # the last bit counts too
