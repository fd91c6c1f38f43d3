"""`mlops diff`: what differs between two versions, however they are named."""

from __future__ import annotations

import io
import json

import pytest
import yaml
from rich.console import Console

from mlops.errors import RegistryError
from mlops.policy import Policy
from mlops.registry.diff import diff
from mlops.registry.diff_text import render
from mlops.registry.look import Registry
from tests.registry import files
from tests.registry.repository import Bundles, Repository, predictions


@pytest.fixture
def registry(repository: Repository, bundles: Bundles) -> Registry:
    """v1.0.0, and v1.1.0 with another parameter, package, line of code, table and model; a commit between them."""
    raw_table(repository, 1500)
    first = repository.version(bundles["v1"], predictions(strength=0.3), params={"seed": 1})
    repository.tag("churn@v1.0.0", first)
    repository.write("docs/notes.md", "one\ntwo\n")
    repository.commit("Notes")
    repository.write("src/fit/__main__.py", "TREES = 20\nDEPTH = 3\n")
    repository.write(
        "requirements.txt", 'numpy==2.4.6\nextra==1.0 \\\n    --hash=sha256:00\nno==1 ; sys_platform == "x"\n'
    )
    raw_table(repository, 1800)
    second = repository.version(
        bundles["v2"],
        predictions(strength=0.95),
        params={"seed": 2, "train.class_weight": "balanced"},
        message="Better",
    )
    repository.tag("churn@v1.1.0", second)
    return Registry(repository.git, Policy())


def raw_table(repository: Repository, rows: int) -> None:
    """Let the synthetic pipeline have a stage that keeps a raw table."""
    repository.write("data/raw/table.csv", "x\n" * rows)
    document = repository.document("dvc.yaml")
    document["stages"].setdefault("ingest", {"cmd": "true", "deps": [], "params": [], "outs": ["data/raw"]})
    repository.write("dvc.yaml", yaml.safe_dump(document, sort_keys=False))
    ignored = (repository.folder / ".gitignore").read_text()
    if "/data/raw" not in ignored:
        repository.write(".gitignore", f"{ignored}/data/raw\n")


def shown(facts: dict[str, object]) -> str:
    text = io.StringIO()
    render(Console(width=120, file=text), facts)
    return text.getvalue()


def test_everything_that_differs_is_told(registry: Registry) -> None:
    facts = diff(registry, "v1.0.0", "v1.1.0")
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["before"]["name"], facts["after"]["name"]) == ("v1.0.0", "v1.1.0")
    assert (facts["commits"]["added"], facts["commits"]["missing"]) == (2, 0)
    assert [entry["subject"] for entry in facts["commits"]["log"]] == ["Better", "Notes"]
    assert facts["params"] == {
        "seed": {"before": 1, "after": 2}, "train.class_weight": {"before": None, "after": "balanced"},
    }  # fmt: skip
    assert facts["environment"] == {
        "numpy": {"before": "2.4.0", "after": "2.4.6"}, "extra": {"after": "1.0"},
    }  # fmt: skip
    assert facts["code"] == {
        "docs": {"notes.md": {"added": 2, "removed": 0}},
        "src/fit": {"__main__.py": {"added": 2, "removed": 1}},
    }
    assert facts["data"]["before"]["digest"] != facts["data"]["after"]["digest"]
    assert facts["model"]["before"]["size"] < facts["model"]["after"]["size"]
    auc = facts["metrics"]["roc_auc"]
    assert auc["before"]["value"] < auc["after"]["value"]


def test_the_gate_compares_both_on_the_same_rows(registry: Registry) -> None:
    """The second's metrics less the first's; the other way round the signs turn."""
    there, back = diff(registry, "v1.0.0", "v1.1.0")["gate"], diff(registry, "v1.1.0", "v1.0.0")["gate"]
    assert (there["verdict"], back["verdict"]) == ("better", "worse")
    assert there["rows"] == 600
    change, other = (g["changes"]["roc_auc"] for g in (there, back))
    assert change["low"] > 0
    assert change["difference"] == pytest.approx(-other["difference"])


def test_people_read_it_in_a_few_lines(registry: Registry) -> None:
    text = shown(diff(registry, "v1.0.0", "v1.1.0"))
    assert text.startswith("v1.0.0 (")
    assert "parameters:\n  seed 1 → 2\n  train.class_weight null → balanced\n" in text
    assert "environment:\n  numpy 2.4.0 → 2.4.6\n  extra – → 1.0\n" in text
    assert "  src/fit/: __main__.py +2 −1\n" in text
    assert "gate: better on same test rows (" in text
    (auc,) = [line for line in text.splitlines() if "roc_auc" in line]
    assert auc.count("[") == 3


def test_a_version_and_itself(registry: Registry) -> None:
    facts = diff(registry, "v1.1.0")
    assert facts["commits"] == {"added": 0, "missing": 0, "log": []}
    assert (facts["params"], facts["code"], facts["environment"]) == ({}, {}, {})
    text = shown(facts)
    assert "not compared: both are the same commit" in text
    for name in ("data", "model", "parameters", "code", "environment"):
        assert f"{name}: the same" in text


def test_an_experiment_and_a_commit_without_any_model(
    registry: Registry, repository: Repository, bundles: Bundles
) -> None:
    repository.version(bundles["v3"], params={"seed": 9}, experiment="deeper")
    first = repository.git.text("rev-list", "--max-parents=0", "HEAD")
    facts = diff(registry, first[:10], "deeper")
    assert facts["after"]["name"] == "deeper"
    assert facts["model"]["before"] is None
    assert facts["data"]["before"] is None
    assert facts["metrics"]["roc_auc"]["before"] is None
    assert facts["gate"]["reason"]
    assert "none → " in shown(facts)


def test_a_notebooks_model_has_no_data_of_the_pipeline(
    registry: Registry, repository: Repository, bundles: Bundles
) -> None:
    notebook = repository.notebook(bundles["v4"], experiment="by_hand")
    facts = diff(registry, "v1.1.0", notebook)
    assert facts["model"]["after"]["origin"] == "notebook"
    assert facts["data"]["after"] is None
    assert shown(facts)


def test_without_the_bytes_the_rest_is_told(registry: Registry, repository: Repository) -> None:
    (repository.cache).rename(repository.folder / "gone")
    facts = diff(registry, "v1.0.0", "v1.1.0")
    assert "models/serving" in facts["gate"]["reason"]
    assert facts["data"]["after"]["rows"] is None
    assert facts["metrics"]["roc_auc"]["after"]["value"] > 0.5
    assert "not compared: " in shown(facts)


def test_an_unknown_name_is_refused_with_the_nearest(registry: Registry) -> None:
    with pytest.raises(RegistryError, match=r"did you mean v1\.1\.0"):
        diff(registry, "v1.1.9")


def test_rows_come_from_the_summary_that_preprocessing_left(
    repository: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw_table(repository, 10)
    write = files.write_features

    def with_summary(folder, tables, bundle):  # type: ignore[no-untyped-def]
        write(folder, tables, bundle)
        (folder / "summary.json").write_text('{"rows": 4321}')

    monkeypatch.setattr(files, "write_features", with_summary)
    repository.version(bundles["v1"])
    facts = diff(Registry(repository.git, Policy()), "HEAD")
    assert facts["data"]["after"]["rows"] == 4321
