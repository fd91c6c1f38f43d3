"""A pull request from its push to its comment: the workflows' own commands, in their order, in fresh clones."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.ci.sticky import MARK
from tests.ci.conftest import event
from tests.ci.forge import Forge, serving
from tests.e2e.conftest import Workspace, clone
from tests.registry.repository import Repository
from tests.registry.workflow import Done, Runner, Workflow

REPORT, COMMENT = Workflow("report.yml"), Workflow("comment.yml")


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A clone with a branch, on which a small pipeline ran as on main; origin and DVC's storage lie beside it."""
    base = tmp_path_factory.mktemp("author")
    work = Workspace(base / "work", base / "home")
    work.folder.mkdir()
    clone(work.folder)
    work.small()
    (base / "storage").mkdir()
    work.run(f"dvc remote add --default store {base}/storage && dvc repro --quiet && dvc push --quiet")
    work.run("git add -A && git commit -qm 'run on a small table'")
    work.run(f"git init -q --bare -b main {base}/origin.git && git remote add origin {base}/origin.git")
    work.run("git push -q origin main && git checkout -qb deeper")
    work.edit("params.yaml", "max_depth: null", "max_depth: 2")
    work.run("dvc repro --quiet && dvc push --quiet && git commit -qam deeper && git push -q origin deeper")
    return work


@pytest.fixture(scope="module")
def forge() -> Iterator[Forge]:
    with serving(Forge()) as made:
        yield made


class PullRequest:
    """What GitHub does when somebody pushes to the branch `deeper`, which pull request 3 is of."""

    def __init__(self, author: Workspace, forge: Forge, folder: Path) -> None:
        self.origin = author.folder.parent / "origin.git"
        self.git = Repository(self.origin).git
        self.forge, self.folder = forge, folder
        self.sha = self.git.commit("deeper")
        if not forge.pulls:
            forge.open(3, self.sha)
        forge.pulls[0]["head"]["sha"] = self.sha

    def report(self) -> list[Done]:
        """The workflow `report`; what became of each run line."""
        github = {"event": {"pull_request": {"head": {"sha": self.sha}}}}
        return Runner(REPORT, self.origin, self.folder, {"github": github}).job("report", ok=False)

    def comment(self, conclusion: str) -> list[Done]:
        """The workflow `comment`, which checks out main."""
        kept = self.folder / "temp" / "report"
        kept.mkdir(parents=True, exist_ok=True)
        made = self.folder / "report" / "report.json"
        if made.exists():
            (kept / "report.json").write_bytes(made.read_bytes())
        event_file = self.folder / "event.json"
        event_file.write_text(json.dumps(event(self.sha, numbers=(3,), conclusion=conclusion)))
        variables = {
            "GITHUB_API_URL": self.forge.url,
            "GITHUB_EVENT_PATH": str(event_file),
            "RUNNER_TEMP": str(kept.parent),
        }
        github = {"sha": self.git.commit("main"), "token": "secret"}
        return Runner(COMMENT, self.origin, self.folder, {"github": github}, **variables).job("comment")


@pytest.fixture(scope="module")
def pushed(author: Workspace, forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> tuple[PullRequest, list[Done]]:
    """The first push: all commands of both workflows ran, and the comment was made."""
    pull = PullRequest(author, forge, tmp_path_factory.mktemp("pushed"))
    done = pull.report()
    assert [d.returncode for d in done] == [0] * 5, [d.stderr for d in done]
    pull.comment("success")
    return pull, done


@pytest.mark.slow
def test_the_report_reaches_its_pull_request(pushed: tuple[PullRequest, list[Done]], forge: Forge) -> None:
    pull, (_, data, _, gate, rebuilt) = pushed
    assert data.stdout.count("everything is in DVC's cache or in") == 2
    assert "The gate lets it pass" in gate.stdout
    assert "dvc.lock is what the commit's code makes\n  rebuilt: same bytes" in rebuilt.stdout
    assert forge.writes == [("POST", "/repos/acme/churn/issues/3/comments")]
    found = json.loads((pull.folder / "report" / "report.json").read_text())
    assert found["compared"]["head"] == pull.sha
    assert found["compared"]["base"] == pull.git.commit("main")
    assert found["params"]["shown"] == [{"name": "max_depth", "before": "null", "after": "2", "stages": ["train"]}]


@pytest.mark.slow
def test_comment_summary_and_terminal_have_the_same_words(
    pushed: tuple[PullRequest, list[Done]], author: Workspace, forge: Forge
) -> None:
    pull, done = pushed
    (comment,) = forge.comments[3]
    assert comment["body"] == f"{MARK}\n{(pull.folder / 'summary').read_text()}"
    mine = author.run("mlops report").stdout
    assert timeless(mine) == timeless(done[2].stdout)
    assert "max_depth" in mine


def timeless(text: str) -> str:
    """Without what is measured here and now: the latency, and how long training took where it ran."""
    return re.sub(r"\b\d+\.\d+ ms|.*the last training in this folder took.*\n", "", text)


@pytest.mark.slow
def test_a_push_updates_the_comment_and_a_lock_that_is_not_current_is_refused(
    pushed: tuple[PullRequest, list[Done]], author: Workspace, forge: Forge, tmp_path: Path
) -> None:
    author.edit("params.yaml", "max_depth: 2", "max_depth: 4")
    author.run("git commit -qam 'not run' && git push -q origin deeper")
    pull = PullRequest(author, forge, tmp_path)
    done = pull.report()
    assert done[-1].args[-1] == "make gate"
    assert done[-1].returncode != 0
    assert "max_depth of params.yaml changed since it ran" in done[-1].stdout
    pull.comment("failure")
    (comment,) = forge.comments[3]
    assert "max_depth of params.yaml changed since it ran" in comment["body"].replace("\\_", "_")
    assert [method for method, _ in forge.writes] == ["POST", "PATCH"]
