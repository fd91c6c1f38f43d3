"""The driver as Git calls it: merge, rebase, cherry-pick, several merge bases, sides without a dvc.lock, Git GUIs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops.git import Git
from mlops.merge import document, install

pytestmark = pytest.mark.slow

DVC_YAML = "stages:\n  prepare:\n    cmd: x\n  train:\n    cmd: x\n"


def entry(run: int, **digests: str) -> dict[str, Any]:
    return {"cmd": f"run {run}", "outs": [{"path": p, "hash": "md5", "md5": d} for p, d in digests.items()]}


def lock_of(stages: dict[str, Any], **more: Any) -> str:
    return document.dump({"schema": "2.0", **more, **({"stages": stages} if stages else {})})


class Clone:
    """A repository with the driver installed, whose dvc.lock the tests write."""

    def __init__(self, folder: Path, path: str = "dvc.lock") -> None:
        self.folder, self.git, self.path = folder, Git(folder), path

    @classmethod
    def new(cls, folder: Path, path: str = "dvc.lock") -> Clone:
        folder.mkdir()
        self = cls(folder, path)
        self.git.raw("init", "--quiet", "--initial-branch=main")
        self.write(Path(path).with_name("dvc.yaml").as_posix(), DVC_YAML)
        install.install(folder)
        self.commit("start")
        return self

    def write(self, name: str, text: str) -> None:
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def commit(self, message: str) -> str:
        self.git.raw("add", "--all")
        self.git.raw("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git.commit("HEAD")

    def locked(self, text: str | None, branch: str = "") -> str:
        """Commit a dvc.lock, or that there is none; on a branch that is made from here if it does not exist."""
        if branch:
            new = self.git.attempt("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}").returncode
            self.git.raw("checkout", "--quiet", *(["-b"] if new else []), branch)
        if text is None:
            (self.folder / self.path).unlink()
        else:
            self.write(self.path, text)
        return self.commit(f"lock on {branch}")

    def fork(self, base: str | None, ours: str | None, theirs: str | None) -> None:
        """Branches main and other with these versions; main is checked out."""
        if base is not None:
            self.locked(base)
        self.git.raw("branch", "other")
        for branch, text in (("other", theirs), ("main", ours)):
            self.git.raw("checkout", "--quiet", branch)
            if text != base:
                self.locked(text)

    def run(self, *words: str, **more: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", *words], cwd=self.folder, capture_output=True, text=True, check=False, **more)

    def merge(self) -> subprocess.CompletedProcess[str]:
        return self.run("merge", "--no-edit", "other")

    @property
    def text(self) -> str:
        return (self.folder / self.path).read_text()

    @property
    def stages(self) -> dict[str, Any]:
        return dict(yaml.safe_load(self.text).get("stages") or {})


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.new(tmp_path / "clone")


BASE = {"prepare": entry(0), "train": entry(0), "evaluate": entry(0)}
OURS, THEIRS = BASE | {"prepare": entry(1)}, BASE | {"evaluate": entry(2), "more": entry(2)}


@pytest.mark.parametrize("path", ["dvc.lock", "teams/it's 100% ours/dvc.lock"])
def test_changes_of_different_stages_merge_without_a_word(tmp_path: Path, path: str) -> None:
    clone = Clone.new(tmp_path / "clone", path)
    clone.fork(lock_of(BASE), lock_of(OURS), lock_of(THEIRS))
    done = clone.merge()
    assert done.returncode == 0, done.stderr
    assert clone.text == lock_of(OURS | THEIRS | {"prepare": entry(1)})
    assert "dvc.lock:" not in done.stderr


def test_what_both_changed_is_dropped_and_said(clone: Clone) -> None:
    clone.fork(lock_of(BASE), lock_of(OURS | {"train": entry(1)}), lock_of(THEIRS | {"train": entry(2)}))
    done = clone.merge()
    assert done.returncode == 0
    assert clone.stages == {"prepare": entry(1), "evaluate": entry(2), "more": entry(2)}
    assert "dvc.lock: both sides changed train; `dvc repro` makes it again\n" in done.stderr


def test_a_rebase_drops_what_both_changed_and_keeps_it_dropped(clone: Clone) -> None:
    clone.fork(lock_of(BASE), lock_of(BASE | {"train": entry(1)}), lock_of(BASE | {"train": entry(2)}))
    clone.locked(lock_of(BASE | {"train": entry(2), "evaluate": entry(2)}), "other")
    done = clone.run("rebase", "main")
    assert done.returncode == 0, done.stderr
    assert clone.stages == {"prepare": entry(0), "evaluate": entry(2)}


def test_cherry_pick_and_revert_take_one_commit_only(clone: Clone) -> None:
    clone.fork(lock_of(BASE), lock_of(OURS), lock_of(THEIRS))
    picked = clone.locked(lock_of(THEIRS | {"train": entry(3)}), "other")
    clone.git.raw("checkout", "--quiet", "main")
    assert clone.run("cherry-pick", picked).returncode == 0
    assert clone.stages == OURS | {"train": entry(3)}
    clone.locked(lock_of(OURS | {"train": entry(3), "evaluate": entry(4)}))
    assert clone.run("revert", "--no-edit", "HEAD~1").returncode == 0
    assert clone.stages == OURS | {"evaluate": entry(4)}


def test_a_stash_comes_back(clone: Clone) -> None:
    clone.locked(lock_of(BASE))
    clone.write("dvc.lock", lock_of(THEIRS))
    clone.git.raw("stash", "--quiet")
    clone.locked(lock_of(OURS))
    assert clone.run("stash", "pop").returncode == 0
    assert clone.stages == THEIRS | {"prepare": entry(1)}


def crossed(clone: Clone, one: str, other: str) -> None:
    """Branches main and other, each of which merged the first commit of the other: there are two merge bases."""
    clone.fork(lock_of(BASE), one, other)
    for branch, text, first in (("other", other, "main"), ("main", one, "other~1")):
        clone.git.raw("checkout", "--quiet", branch)
        clone.git.raw("merge", "--quiet", "--no-commit", "--strategy=ours", first)
        clone.locked(text)


def test_of_several_merge_bases_the_unsure_is_dropped(clone: Clone) -> None:
    one, other = BASE | {"train": entry(1)}, BASE | {"train": entry(2)}
    crossed(clone, lock_of(one), lock_of(other))
    clone.locked(lock_of(one | {"prepare": entry(3)}), "main")
    done = clone.merge()
    assert len(clone.git.text("merge-base", "--all", "main~1", "other").split()) == 2
    assert done.returncode == 0, done.stderr
    assert clone.stages == {"prepare": entry(3), "evaluate": entry(0)}
    assert done.stderr.count("both sides changed") == 1


def test_a_merge_base_with_conflict_markers_is_no_base(clone: Clone) -> None:
    clone.write("dvc.yaml", DVC_YAML.replace("train:\n", "train:\n    frozen: true\n"))
    one, other = BASE | {"train": entry(1)}, BASE | {"train": entry(2)}
    crossed(clone, lock_of(one), lock_of(other))
    clone.locked(lock_of(other | {"prepare": entry(3)}), "main")
    done = clone.merge()
    assert done.returncode == 0, done.stderr
    assert clone.stages == {"train": entry(2), "evaluate": entry(0)}
    assert "both sides changed prepare" in done.stderr


def test_both_sides_have_a_first_lock(clone: Clone) -> None:
    clone.fork(None, lock_of(BASE), lock_of(THEIRS))
    assert clone.merge().returncode == 0
    assert clone.stages == {name: entry(0) for name in ("prepare", "train")} | {"more": entry(2)}


def test_one_side_has_its_first_lock(clone: Clone) -> None:
    clone.fork(None, None, lock_of(THEIRS))
    assert clone.merge().returncode == 0
    assert clone.stages == THEIRS


def test_a_lock_deleted_on_one_side_and_changed_on_the_other_is_left_to_a_person(clone: Clone) -> None:
    clone.fork(lock_of(BASE), lock_of(OURS), None)
    assert clone.merge().returncode == 1
    assert clone.stages == OURS
    assert clone.git.text("status", "--short") == "UD dvc.lock"


def test_all_stages_dropped_leave_a_lock_that_dvc_can_fill(clone: Clone) -> None:
    clone.fork(lock_of({"train": entry(0)}), lock_of({"train": entry(1)}), lock_of({"train": entry(2)}))
    assert clone.merge().returncode == 0
    assert clone.text == "schema: '2.0'\n"


@pytest.mark.parametrize(
    ("broken", "said"), [("theirs", "the other side's version is not valid YAML"), ("ours", "this side's version is")]
)
def test_a_file_that_cannot_be_read_stays_a_conflict(clone: Clone, broken: str, said: str) -> None:
    markers = f"<<<<<<< a\n{lock_of(OURS)}=======\n{lock_of(THEIRS)}>>>>>>> b\n"
    sides = {"ours": lock_of(OURS), "theirs": lock_of(THEIRS)} | {broken: markers}
    clone.fork(lock_of(BASE), sides["ours"], sides["theirs"])
    done = clone.merge()
    assert done.returncode == 1
    assert clone.git.text("status", "--short") == "UU dvc.lock"
    assert "\n<<<<<<< " in f"\n{clone.text}"
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: dvc.lock")]
    assert said in line
    assert "git checkout --ours dvc.lock" in line


@pytest.mark.parametrize("side", ["main", "other"])
def test_a_frozen_stage_that_both_changed_is_left_between_markers(clone: Clone, side: str) -> None:
    clone.fork(lock_of(BASE), lock_of(OURS | {"train": entry(1)}), lock_of(THEIRS | {"train": entry(2)}))
    clone.git.raw("checkout", "--quiet", side)
    clone.write("dvc.yaml", DVC_YAML.replace("train:\n", "train:\n    frozen: true\n"))
    clone.commit("frozen")
    clone.git.raw("checkout", "--quiet", "main")
    done = clone.merge()
    assert done.returncode == 1
    assert "error: dvc.lock: both sides changed the frozen stage train, which" in done.stderr
    before, _, rest = clone.text.partition("<<<<<<< this side\n")
    ours, _, rest = rest.partition("=======\n")
    theirs, _, after = rest.partition(">>>>>>> the other side\n")
    others = {"prepare": entry(1), "evaluate": entry(2), "more": entry(2)}
    for chosen, run in ((ours, 1), (theirs, 2)):
        assert yaml.safe_load(before + chosen + after)["stages"] == others | {"train": entry(run)}
    assert sorted(p.name for p in clone.folder.iterdir()) == [".git", ".gitattributes", "dvc.lock", "dvc.yaml"]


def test_data_sets_that_both_changed_are_a_conflict(clone: Clone) -> None:
    versions = [lock_of(BASE, datasets=[{"name": "rows", "type": "url", "rev": rev}]) for rev in (0, 1, 2)]
    clone.fork(*versions)
    done = clone.merge()
    assert done.returncode == 1
    assert "both sides changed the data set rows" in done.stderr
    assert clone.text.count("<<<<<<<") == 1


def test_outputs_that_git_holds_wait_for_repro_as_this_side_has_them(clone: Clone) -> None:
    stages = {"evaluate": {"cmd": "x", "outs": [{"metrics": {"cache": False}}]}}
    clone.write("dvc.yaml", yaml.safe_dump({"stages": stages}))
    clone.write("metrics/all.json", "0\n")
    install.install(clone.folder)
    clone.commit("metrics")
    clone.git.raw("branch", "other")
    for branch, run in (("other", 2), ("main", 1)):
        clone.git.raw("checkout", "--quiet", branch)
        clone.write("metrics/all.json", f"{run}\n")
        clone.locked(lock_of({"evaluate": entry(run)}))
    assert clone.merge().returncode == 0
    assert (clone.folder / "metrics/all.json").read_text() == "1\n"
    assert clone.stages == {}


def test_a_git_gui_needs_nothing_of_the_shell(clone: Clone) -> None:
    clone.fork(lock_of(BASE), lock_of(OURS), lock_of(THEIRS))
    (clone.folder / "argparse.py").write_text("raise SystemExit(3)\n")
    (clone.folder / "src").mkdir()
    names = ("HOME", *(f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")))
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": "/nowhere", **{name: os.environ[name] for name in names}}
    done = subprocess.run(
        ["git", "merge", "--no-edit", "other"], cwd=clone.folder / "src", env=env, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert clone.stages == OURS | THEIRS | {"prepare": entry(1)}


def test_the_driver_goes_with_all_worktrees_of_a_clone(clone: Clone, tmp_path: Path) -> None:
    clone.fork(lock_of(BASE), lock_of(OURS), lock_of(THEIRS))
    clone.git.raw("worktree", "add", "--quiet", "-b", "third", str(tmp_path / "third"), "main")
    third = Clone(tmp_path / "third")
    assert install.install(third.folder) == []
    assert third.merge().returncode == 0
    assert third.stages == OURS | THEIRS | {"prepare": entry(1)}
