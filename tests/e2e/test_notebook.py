"""notebooks/quickstart.ipynb runs from top to bottom as a newcomer would run it, twice on one clone."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import pytest

from tests.e2e.conftest import ROOT, Workspace

QUICKSTART = Path("notebooks/quickstart.ipynb")
NAMES = ("deeper_trees", "shallow_trees", "logistic")


class Done(NamedTuple):
    """A clone in which the notebook ran twice; what each run showed, by the cells' ids; the clone's remotes."""

    clone: Workspace
    shown: list[dict[str, list[Any]]]
    origin: Path
    store: Path


@pytest.fixture(scope="module")
def done(ran: Workspace) -> Done:
    """The pipeline's clone with a Git and a DVC remote, as a team's has them."""
    origin, store = ran.folder.parent / "origin.git", ran.folder.parent / "store"
    ran.run(f"git init -q --bare {origin} && git remote add origin {origin} && git push -q origin main")
    ran.run(f"dvc remote add -q -d store {store} && git commit -qam 'a remote'")
    shown = []
    for turn in ("first", "second"):
        output = ran.folder.parent / f"{turn}.ipynb"
        ran.run(f"jupyter execute --output={output} {QUICKSTART}")
        made = nbformat.read(output, as_version=4)
        shown.append({cell.id: cell.outputs for cell in made.cells if cell.cell_type == "code"})
    return Done(ran, shown, origin, store)


def test_it_is_committed_without_outputs_and_without_a_machine() -> None:
    """To mend it: `jupyter nbconvert --clear-output --inplace notebooks/quickstart.ipynb`."""
    text = (ROOT / QUICKSTART).read_text(encoding="utf-8")
    document = json.loads(text)
    nbformat.validate(document)
    assert [c["outputs"] for c in document["cells"] if c.get("outputs")] == []
    assert {c["execution_count"] for c in document["cells"] if c["cell_type"] == "code"} == {None}
    assert [c["metadata"] for c in document["cells"] if c["metadata"]] == []
    assert document["metadata"] == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    ids = [cell["id"] for cell in document["cells"]]
    assert len(set(ids)) == len(ids)
    assert not [i for i in ids if re.fullmatch(r"[0-9a-f-]{8,}", i)], "ids that a machine made change with each save"
    assert not re.search(r"/home/|/Users/|/root/|[A-Z]:\\\\", text)
    assert text == json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def test_what_it_says_to_type_is_there() -> None:
    said = (ROOT / QUICKSTART).read_text(encoding="utf-8")
    for path in set(re.findall(r"`((?:docs|data)/[\w./]+\.\w+)`", said)):
        assert (ROOT / path).exists(), path


@pytest.mark.slow
def test_no_cell_fails_or_warns(done: Done) -> None:
    for shown in done.shown:
        for cell, outputs in shown.items():
            bad = [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
            assert not bad, f"{cell}: {bad}"
            texts = "".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in outputs)
            assert "\x1b" not in texts, f"{cell} shows colours as letters: {texts!r}"


@pytest.mark.slow
def test_the_comparison_is_a_table_with_plots(done: Done) -> None:
    first, second = done.shown
    (table,) = first["compare"]
    assert "3 experiments by roc_auc (higher is better); best: shallow_trees" in table.data["text/html"]
    assert "vs main" in table.data["text/html"]
    assert all(name in table.data["text/plain"] for name in NAMES)
    (table,) = first["by-time"]
    assert "inference_time_ms (lower is better)" in table.data["text/html"]
    table, plots = first["plots"]
    assert plots.data["text/html"].count("<svg") >= 2, "ROC curves, and the metric by a param"
    (table,) = second["compare"]
    assert "6 experiments" in table.data["text/html"]


@pytest.mark.slow
def test_runs_are_experiments_and_names_collide_politely(done: Done) -> None:
    listed = done.clone.run("git for-each-ref --format='%(refname)' refs/exps").stdout.splitlines()
    wanted = {*NAMES, *(f"{name}-2" for name in NAMES)}
    assert {ref.rpartition("/")[2] for ref in listed} == wanted
    table = list(csv.DictReader(io.StringIO(done.clone.run("dvc exp show --csv").stdout)))
    rows = {row["Experiment"]: row for row in table}
    assert wanted <= rows.keys()
    assert all(float(rows[name]["roc_auc"]) > 0.6 for name in wanted)
    assert rows["deeper_trees"]["max_depth"] == "10"


@pytest.mark.slow
def test_the_rehearsal_promotes_and_refuses_and_nothing_leaves_the_clone(done: Done) -> None:
    for shown in done.shown:
        promoted = "".join(o.get("text", "") for o in shown["promote"])
        assert "v1.0.0 is dev: tags churn@v1.0.0, churn#dev#1" in promoted
        assert "published" not in promoted
        assert shown["promote"][-1].data["text/plain"] == "True"
        assert shown["refused"][-1].output_type == "execute_result"
    assert done.clone.run("git tag").stdout == ""
    assert done.clone.run(f"git -C {done.origin} for-each-ref --format='%(refname)'").stdout == "refs/heads/main\n"
    assert not done.store.exists()
    assert done.clone.run("git status --porcelain").stdout == ""
