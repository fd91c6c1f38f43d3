"""The report and the gate of a branch, on repositories as a pipeline leaves them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mlops.report import base, points
from tests.registry.branches import ROWS, facts, mlops, policy
from tests.registry.repository import Bundles, Repository, predictions

pytestmark = pytest.mark.slow


def test_a_better_branch_passes_and_the_report_says_what_changed(
    project: Repository, bundles: Bundles, capsys: pytest.CaptureFixture[str]
) -> None:
    project.write("src/fit/__main__.py", "TREES = 20\nDEPTH = 3\n")
    project.write("docs/notes.md", "one\n")
    project.write("requirements.txt", "numpy==2.4.6\n")
    head = project.version(bundles["v2"], predictions(*ROWS, strength=0.95), params={"seed": 7})
    code, out, _ = mlops(capsys, "report", "--json")
    found = json.loads(out)
    assert (code, list(found)[:2]) == (0, ["verdict", "metric"])
    assert (found["verdict"], found["metric"], found["passed"], found["reasons"]) == ("better", "roc_auc", True, [])
    at = found["compared"]
    main = project.git.commit("main")
    assert (at["head"], at["base"], at["name"], at["ahead"], at["behind"]) == (head, main, f"main ({main[:8]})", 1, 0)
    assert (at["rows"], at["customers"], at["basis"], at["uncommitted_files"]) == (*ROWS, "same test rows", 0)
    assert found["metrics"][0]["name"] == "roc_auc"
    assert len(found["metrics"]) == 9
    flips = found["decisions"]
    assert flips["rows"] == ROWS[0]
    assert sum(flips["newly"]) - sum(flips["no_longer"]) == flips["contacted"][0] - flips["contacted"][1]
    assert found["params"]["shown"] == [{"name": "seed", "before": "42", "after": "7", "stages": ["train"]}]
    assert found["code"]["files"] == [{"path": "src/fit/__main__.py", "added": 2, "removed": 1, "stages": ["train"]}]
    assert found["code"]["others"] == [{"name": "docs", "files": 1}]
    assert found["environment"]["shown"] == [{"name": "numpy", "before": "2.4.0", "after": "2.4.6", "stages": []}]
    assert set(found["code"]["outputs"]) == {"models/serving", "data/predictions", "metrics/evaluate"}
    assert mlops(capsys, "gate")[0] == 0


def test_a_worse_branch_is_refused_with_its_reasons(
    project: Repository, bundles: Bundles, capsys: pytest.CaptureFixture[str]
) -> None:
    project.version(bundles["v2"], predictions(*ROWS, strength=0.1))
    code, out, _ = mlops(capsys, "gate")
    assert code == 2
    assert out.startswith("worse: roc_auc ")
    assert "The gate refuses it:\n- worse: roc_auc" in out
    assert facts(project)["passed"] is False
    assert mlops(capsys, "report")[0] == 0  # a report reports
    assert json.loads(mlops(capsys, "gate", "--json")[1])["verdict"] == "worse"


def test_files_are_written_as_their_names_say(
    project: Repository, bundles: Bundles, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project.version(bundles["v2"], predictions(*ROWS, strength=0.9))
    names = ["facts.json", "page.html", "summary"]
    words = [word for name in names for word in ("--output", str(tmp_path / name))]
    code, out, _ = mlops(capsys, "report", "--html", str(tmp_path / "other.page"), *words)
    assert code == 0
    told = json.loads((tmp_path / "facts.json").read_text())
    assert out.startswith(told["headline"])
    assert (tmp_path / "summary").read_text().startswith("## better: roc\\_auc")
    for page in ("page.html", "other.page"):
        assert (tmp_path / page).read_text().startswith("<!DOCTYPE html>")
    code, _, err = mlops(capsys, "report", "--output", str(tmp_path / "none" / "x.md"))
    assert (code, "there is no folder" in err, len(err.splitlines())) == (1, True, 1)


def test_a_branch_that_changes_no_model_passes_even_without_data(project: Repository) -> None:
    project.write("README.md", "words\n")
    project.commit("Words")
    here = facts(project)
    assert (here["verdict"], here["passed"], here["compared"]["basis"]) == ("no worse", True, "same test rows")
    assert here["data"] is None
    shutil.rmtree(project.cache)
    without = facts(project)
    assert (without["verdict"], without["passed"], without["compared"]["basis"]) == ("no worse", True, "the same bytes")
    assert "byte for byte" in without["headline"]


def test_a_stale_lock_is_refused_and_cannot_be_waived(
    project: Repository, bundles: Bundles, capsys: pytest.CaptureFixture[str]
) -> None:
    project.version(bundles["v2"], predictions(*ROWS, strength=0.95))
    project.write("src/fit/__main__.py", "TREES = 99\n")
    project.commit("Code without a run")
    code, out, _ = mlops(capsys, "gate")
    assert code == 2
    assert "- lock: train: src/fit changed since it ran: `dvc repro`, then commit dvc.lock" in out
    policy(project, waive=[{"check": "lock", "why": "hurry"}])
    project.commit("Waive the lock")
    code, _, err = mlops(capsys, "gate")
    assert (code, "gate.waive = lock: input should be 'verdict', 'slices'" in err) == (1, True)


def test_a_waiver_counts_in_the_diff_that_brings_it_and_nowhere_else(project: Repository, bundles: Bundles) -> None:
    project.version(bundles["v2"], predictions(*ROWS, strength=0.1))
    waivers = [{"check": name, "why": "the old one leaked"} for name in ("verdict", "slices", "calibration")]
    policy(project, waive=waivers)
    project.commit("Waive")
    found = facts(project)
    assert (found["verdict"], found["passed"], found["reasons"]) == ("worse", True, [])
    assert "waived by gate.waive of policy.yaml: verdict: the old one leaked" in found["notes"]
    assert next(c for c in found["checks"] if c["name"] == "slices")["waived"] in (None, "the old one leaked")

    project.git.raw("switch", "--quiet", "main")
    project.git.raw("merge", "--quiet", "--ff-only", "topic")
    project.git.raw("switch", "--quiet", "--create", "next")
    project.version(bundles["v3"], predictions(*ROWS, strength=0.02))
    spent = facts(project)
    assert (spent["passed"], spent["verdict"]) == (False, "worse")
    assert "gate.waive names verdict since before this branch, so it counts no more: delete it" in spent["notes"]
    policy(project, waive=[*waivers, {"check": "verdict", "why": "another reason"}])
    project.commit("Another")
    again = facts(project)
    assert again["passed"] is False  # whatever the reason is now
    assert "gate.waive names verdict since before this branch, so it counts no more: delete it" in again["notes"]


def test_a_waiver_that_nothing_needs_is_said(project: Repository, bundles: Bundles) -> None:
    policy(project, waive=[{"check": "size", "why": "large"}])
    project.version(bundles["v2"], predictions(*ROWS, strength=0.9))
    assert facts(project)["notes"] == ["gate.waive names size, which passes: delete it"]


def test_limits_are_those_of_the_commit_and_a_change_of_them_is_shown(project: Repository, bundles: Bundles) -> None:
    policy(project, max_loss=0.5)
    project.version(bundles["v2"], predictions(*ROWS, strength=0.4))
    policy(project, max_loss=0.0001)  # of the working tree, which is not judged
    found = facts(project)
    assert found["limits"]["max_loss"] == 0.5
    assert {"name": "gate.max_loss", "before": "0.01", "after": "0.5", "stages": []} in found["policy"]["shown"]
    assert (found["compared"]["uncommitted"], found["compared"]["uncommitted_files"]) == (["policy.yaml"], 1)


def test_new_vanished_and_impossible_metrics(project: Repository, bundles: Bundles) -> None:
    def extra(**numbers: float | None) -> None:
        path = project.folder / "metrics/evaluate/metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **numbers}))
        project.commit("Another metric")

    project.git.raw("switch", "--quiet", "main")
    extra(theirs=1.0, both=2.0, odd=3.0)
    project.git.raw("branch", "--force", "topic")
    project.git.raw("switch", "--quiet", "topic")
    project.version(bundles["v2"], predictions(*ROWS, strength=0.9))
    extra(mine=float("inf"), both=2.0, odd=float("nan"), none=None)
    found = {m["name"]: m for m in facts(project)["metrics"] if not m["compared"]}
    assert {name: (m["there"], m["baseline"], m["candidate"]) for name, m in found.items()} == {
        "mine": ("new", None, None),
        "theirs": ("gone", 1.0, None),
        "odd": ("both", 3.0, None),
    }


def test_training_time_is_told_where_the_folder_is_the_commit(project: Repository, bundles: Bundles) -> None:
    project.write(".gitignore", (project.folder / ".gitignore").read_text() + "/metrics/timings.json\n")
    project.version(bundles["v2"], predictions(*ROWS, strength=0.9))
    project.write("metrics/timings.json", '{"train_time_seconds": 4.5}')
    assert facts(project)["cost"]["train_seconds"] == 4.5
    project.write("dvc.lock", "schema: '2.0'\n")
    assert facts(project)["cost"]["train_seconds"] is None


def test_hostile_names_go_through(project: Repository, bundles: Bundles, capsys: pytest.CaptureFixture[str]) -> None:
    name = "![x](http://evil.example) @all <script> | `" * 6
    scored = predictions(*ROWS, strength=0.9)
    scored = scored.append_column(f"slice.{name}", scored.column("slice.plan"))
    project.version(bundles["v2"], scored)
    project.write(f"src/fit/{'x' * 150}\x1b[31m.py", "X = 1\n")
    project.commit("Names")
    found = facts(project)
    assert max(len(file["path"]) for file in found["code"]["files"]) == 120
    code, out, _ = mlops(capsys, "report")
    assert (code, "\x1b" in out) == (0, False)
    assert "\x1b" not in mlops(capsys, "gate")[1]


@pytest.mark.parametrize("why", ["", "  ", " ok ", "x"])
def test_a_waiver_says_why(project: Repository, bundles: Bundles, capsys: pytest.CaptureFixture[str], why: str) -> None:
    policy(project, waive=[{"check": "verdict", "why": why}])
    project.commit("Waive")
    code, _, err = mlops(capsys, "gate")
    assert (code, "should have at least 3 characters" in err, len(err.splitlines())) == (1, True, 1)


def test_a_model_that_knows_the_outcome_is_suspected(project: Repository, bundles: Bundles) -> None:
    def importance(**lost: float) -> None:
        lines = "".join(f"{name},{value},0.001\n" for name, value in lost.items())
        project.write("metrics/evaluate/plots/importance.csv", f"feature,importance,spread\n{lines}")

    project.git.raw("switch", "--quiet", "main")
    importance(minutes=0.05, refund=0.001)
    project.commit("What counts")
    project.git.raw("branch", "--force", "topic")
    project.git.raw("switch", "--quiet", "topic")
    project.version(bundles["v2"], predictions(*ROWS, strength=1.0))
    importance(refund=0.3, minutes=0.001)
    place = project.folder / "metrics/evaluate/metrics.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "best_reachable_roc_auc": 0.6}))
    project.commit("A leak")
    found = facts(project)
    above, leans = found["notes"]
    assert "is above 0.6000, the best that can be reached" in above
    assert leans.startswith("the model leans on refund: shuffled, roc_auc falls by 0.3000, before by 0.0010;")
    assert found["features"] == [
        {"name": "refund", "before": 0.001, "after": 0.3},
        {"name": "minutes", "before": 0.05, "after": 0.001},
    ]


def test_curves_come_from_both_commits_on_one_grid(project: Repository) -> None:
    def plot(name: str, text: str) -> None:
        project.write(f"metrics/evaluate/plots/{name}.csv", text)

    project.git.raw("switch", "--quiet", "main")
    plot("roc", "fpr,tpr\n0,0\n1,1\n")
    plot("precision_recall", "recall,precision\n0.5,nan\n")
    project.commit("Plots")
    project.git.raw("branch", "--force", "topic")
    project.git.raw("switch", "--quiet", "topic")
    plot("roc", "fpr,tpr\n0,0\n0.1,0.8\n1,1\n")
    plot("gain", "contacted,found\n0,0\n1,1\n")
    plot("precision_recall", "recall,precision\n0.2,0.5\n1,0.1\n")
    plot("calibration", "predicted,observed,rows\n0.2,0.25,5\n0.1,0.05,5\n")
    project.commit("Others")
    found = {c["name"]: c for c in points.read(project.git, base.find(project.git))}
    assert list(found) == ["gain", "calibration", "roc", "precision_recall"]
    assert found["gain"]["before"] is None
    assert found["precision_recall"]["before"] is None  # what is not a number is no point
    assert found["calibration"]["after"] == [[0.1, 0.05], [0.2, 0.25]]
    assert [0.1, 0.1] in found["roc"]["before"]
    assert [0.1, 0.8] in found["roc"]["after"]
    assert len(found["roc"]["before"]) == len(found["roc"]["after"]) == points.GRID + 1
