"""A workflow of .github/workflows, run as far as any machine can: its run lines, in order, in fresh clones."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.e2e.conftest import ROOT, environment

MARKS = (".installed", ".installed-test")
Done = subprocess.CompletedProcess[str]


class Workflow:
    """A workflow's file."""

    def __init__(self, name: str) -> None:
        self.path = ROOT / ".github" / "workflows" / name
        self.text = self.path.read_text(encoding="utf-8")
        self.document: dict[str, Any] = yaml.load(self.text, yaml.BaseLoader)  # `on` stays a word

    def steps(self, job: str | None = None) -> list[dict[str, Any]]:
        """All steps, or those of one job."""
        return [s for name, j in self.document["jobs"].items() if job in (None, name) for s in j["steps"]]


class Runner:
    """Runs a workflow's jobs.

    Args:
        workflow: whose steps are run; those that use an action are passed over, and checkout is a clone.
        origin: the repository that the workflow belongs to.
        folder: for clones, homes and outputs.
        contexts: github, inputs and secrets.
        variables: what the runner's environment has.
    """

    def __init__(
        self, workflow: Workflow, origin: Path, folder: Path, contexts: Mapping[str, Any], **variables: str
    ) -> None:
        self.workflow, self.origin, self.folder, self.variables = workflow, origin, folder, dict(variables)
        self.contexts: dict[str, Any] = {"needs": {}, "steps": {}, **contexts}
        self.summary = folder / "summary"

    def job(self, name: str, *, without: Collection[str] = (), ok: bool = True) -> list[Done]:
        """Run a job's steps until one fails, those called `without` left out; what became of each run line."""
        job = self.workflow.document["jobs"][name]
        self.contexts["steps"] = {}
        done: list[Done] = []
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                self._check_out(name, self.filled(step["with"]["ref"]))
            elif "run" in step and step["name"] not in without and self.holds(step.get("if", "true")):
                done.append(self.step(name, step))
                if done[-1].returncode:
                    break
        assert not ok or not done[-1].returncode, f"{done[-1].args}\n{done[-1].stdout}\n{done[-1].stderr}"
        outputs = {key: self.filled(value) for key, value in job.get("outputs", {}).items()}
        self.contexts["needs"][name] = {"outputs": outputs}
        return done

    def step(self, job: str, step: Mapping[str, Any]) -> Done:
        """Run one step in its job's clone."""
        outputs = self.folder / "outputs"
        outputs.write_text("")
        given = {key: self.filled(value) for key, value in step.get("env", {}).items()}
        told = {"GITHUB_OUTPUT": str(outputs), "GITHUB_STEP_SUMMARY": str(self.summary), "CI": "true"}
        env = environment(self.folder / f"{job}-home", **told, **self.variables, **given)
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        done = subprocess.run(command, cwd=self.clone(job), env=env, capture_output=True, text=True)
        if "id" in step:
            lines = [line.partition("=") for line in outputs.read_text().splitlines()]
            self.contexts["steps"][step["id"]] = {"outputs": {key: value for key, _, value in lines}}
        return done

    def clone(self, job: str) -> Path:
        """Where a job's repository is."""
        return self.folder / job

    def filled(self, text: str) -> str:
        """A text with its expressions replaced by their values."""
        return re.sub(r"\$\{\{(.*?)\}\}", lambda found: self.value(found[1]), text)

    def holds(self, condition: str) -> bool:
        """Whether a condition of `if:` holds."""
        return self.value(condition) not in ("", "false")

    def value(self, expression: str) -> str:
        """The value of an expression that consists of names, texts, == and ||."""
        for part in expression.split("||"):
            sides = [self._term(side.strip()) for side in part.split("==")]
            if len(sides) == 2:
                return str(sides[0] == sides[1]).lower()
            if sides[0]:
                return sides[0]
        return ""

    def _term(self, word: str) -> str:
        if word.startswith("'"):
            return word.strip("'")
        if word == "true":
            return word
        found: Any = self.contexts
        for name in word.split("."):
            found = found.get(name, "") if isinstance(found, Mapping) else ""
        assert isinstance(found, str), f"{word} is no text"
        return found

    def _check_out(self, job: str, commit: str) -> None:
        """What actions/checkout does with a commit: all branches and tags, and no branch checked out."""
        assert re.fullmatch(r"[0-9a-f]{40}", commit), commit
        place = self.clone(job)
        shutil.rmtree(place, ignore_errors=True)
        for command in (["clone", "-q", self.origin, place], ["-C", place, "checkout", "-q", "--detach", commit]):
            subprocess.run(["git", *command], check=True, env=environment(self.folder / "git-home"))
        installed(place)


def installed(clone: Path) -> None:
    """Give a clone the environment that the tests run in, as if `make setup` had made it."""
    venv = clone / ".venv"
    venv.mkdir()
    for part in Path(sys.prefix).iterdir():
        if part.name not in MARKS:
            (venv / part.name).symlink_to(part)
    for mark in MARKS:
        (venv / mark).touch()
