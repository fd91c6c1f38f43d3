"""What the registry costs: reading and showing its tags, promoting, and the way from a pushed tag into the service.

    python -m benchmarks registry

Repositories are made for the purpose in temporary folders; of this clone only its files are taken.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.pipeline import environment, in_turn, seconds, workspace
from benchmarks.serving import report
from benchmarks.serving.processes import PATIENCE, free_port
from benchmarks.serving.report import Claim
from mlops.git import Git
from mlops.policy import Policy
from mlops.registry import tags
from mlops.registry.look import Registry

MANY, USUAL = 10_000, 60
STAGES = ("prod", "staging", "canary")
START = 1_760_000_000
ROUNDS, PUSHES = 7, 10
WATCHED = 1
"""Seconds between two looks of `mlops sync --watch`."""
TREES = 200
"""Of the second model; the default one has other ones."""
SERVED = "models/serving"


def resolving() -> str:
    """Reading and resolving ten thousand tags, beside the same `git for-each-ref` alone; loose and packed."""
    lines = []
    with tempfile.TemporaryDirectory() as temporary:
        git = tagged(Path(temporary) / "many", MANY)
        for state in ("loose", "packed"):
            if state == "packed":
                git.raw("gc", "--quiet", "--prune=now")
            ours, peer = in_turn(lambda: _timed(lambda: _resolved(git)), lambda: _timed(lambda: _listed(git)), ROUNDS)
            lines.append(Claim(f"{MANY:,} tags resolved, {state}", statistics.median(ours), "s"))
            lines.append(Claim(f"the same, times git alone, {state}", report.ratio(ours, peer), "", most=2))
    return f"{report.machine()}\n{report.claims(lines)}"


def _resolved(git: Git) -> None:
    picture = Registry(git, Policy()).picture
    if (len(picture.versions), len(picture.stages)) != (MANY // 2, len(STAGES)):
        raise SystemExit("error: the tags do not say what they were made to say")


def _listed(git: Git) -> None:
    git.raw("for-each-ref", f"--format={tags.FORMAT}", "refs/tags/churn@*", "refs/tags/churn#*")


def _timed(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def show() -> str:
    """`mlops show` from start to end, beside `gto show` in the same repository."""
    with tempfile.TemporaryDirectory() as temporary:
        usual, many = (tagged(Path(temporary) / str(number), number).folder for number in (USUAL, MANY))
        ours, peer = in_turn(
            lambda: seconds(["mlops", "show"], usual), lambda: seconds(["gto", "show", "churn"], usual), ROUNDS
        )
        thousands = [seconds(["mlops", "show"], many) for _ in range(ROUNDS)]
    return f"{report.machine()}\n" + report.claims(
        [
            Claim(f"mlops show, {USUAL} tags", statistics.median(ours), "s", most=1),
            Claim("gto show, times that", report.ratio(peer, ours), ""),
            Claim(f"mlops show, {MANY:,} tags", statistics.median(thousands), "s", most=1),
        ]
    )


def promote() -> str:
    """`mlops promote` of the default project, gate and publication included, without --prove."""
    with tempfile.TemporaryDirectory() as temporary:
        project = promotable(Path(temporary))
        first = [_promoted(project, "HEAD~1") for _ in range(ROUNDS)]
        seconds(["mlops", "promote", "HEAD~1"], project)
        second = [_promoted(project, "HEAD") for _ in range(ROUNDS)]
    return f"{report.machine()}\n" + report.claims(
        [
            Claim("mlops promote of a first model", statistics.median(first), "s", most=5),
            Claim("mlops promote against a model that serves", statistics.median(second), "s", most=5),
            Claim("the same, slowest", max(second), "s"),
        ]
    )


def _promoted(project: Path, what: str) -> float:
    """Seconds of a promotion, which is undone afterwards."""
    before = _tags(project)
    # Whatever the gate says of the two models: it is asked and recorded all the same.
    spent = seconds(["mlops", "promote", what, "--force", "--why", "a benchmark"], project)
    made = _tags(project) - before
    if not made:
        raise SystemExit(f"error: `mlops promote {what}` made no tag")
    seconds(["git", "tag", "--delete", *made], project)
    seconds(["git", "push", "--quiet", "--delete", "origin", *made], project)
    return spent


def _tags(project: Path) -> set[str]:
    return set(Git(project).text("tag", "--list").splitlines())


def follow() -> str:
    """From `git push` of one tag made by hand to the first answer of the service with what it assigns.

    `mlops sync --watch` and the service run in a clone of their own. No commit is assigned twice, and each model comes
    out of the DVC remote: the clone's cache is emptied before each push.
    """
    with tempfile.TemporaryDirectory() as temporary, contextlib.ExitStack() as stack:
        project = promotable(Path(temporary), Path(temporary) / "store")
        seconds(["mlops", "promote", "HEAD~1"], project)
        seconds(["dvc", "push", "--quiet", "--all-commits"], project)
        clone = Path(temporary) / "clone"
        seconds(["git", "clone", "--quiet", str(Path(temporary) / "origin.git"), str(clone)], project)
        service = stack.enter_context(served(clone, _example(project)))
        service.until("v1.0.0")
        took = [_pushed(project, clone, service, push) for push in range(PUSHES)]
    return f"{report.machine()}\n" + report.claims(
        [
            Claim(f"git push to the first answer, median of {PUSHES}", statistics.median(took), "s"),
            Claim("the same, slowest", max(took), "s", most=3),
            Claim("the same, fastest", min(took), "s"),
        ]
    )


def _pushed(project: Path, clone: Path, service: Service, push: int) -> float:
    """Seconds of one push until the service has followed it; the two models take turns."""
    git = Git(project)
    model = ("HEAD", "HEAD~1")[push % 2]
    commit = git.text("commit-tree", f"{model}^{{tree}}", "-p", model, "-m", f"push {push}", env=_name(project))
    name = f"churn#prod#{push + 2}"
    seconds(["git", "tag", "--annotate", "--message=by hand", name, commit], project)
    shutil.rmtree(clone / ".dvc" / "cache", ignore_errors=True)
    time.sleep(WATCHED * (1 + push / PUSHES))  # pushes fall anywhere between two looks
    started = time.perf_counter()
    seconds(["git", "push", "--quiet", "origin", name], project)
    service.until(f"g{commit[:12]}")
    return time.perf_counter() - started


def _name(project: Path) -> dict[str, str]:
    return environment(project.parent / "home")


def _example(project: Path) -> dict[str, Any]:
    signature = json.loads((project / SERVED / "signature.json").read_bytes())
    return {column["name"]: column["example"] for column in signature["inputs"]}


def tagged(folder: Path, number: int) -> Git:
    """A repository with so many annotated tags: one half registers a version each, the other half assigns it."""
    folder.mkdir()
    facts = json.dumps({"why": "a benchmark", "metrics": {"roc_auc": {"value": 0.8, "low": 0.78, "high": 0.82}}})
    git, given = Git(folder), []
    git.raw("init", "--quiet", "--initial-branch=main")
    for i in range(number // 2):
        who = f"Ada <ada@example.org> {START + 60 * i} +0000"
        given.append(f"commit refs/heads/main\nmark :{i + 1}\ncommitter {who}\ndata 0\n\n")
        for name in (f"churn@v1.{i}.0", f"churn#{STAGES[i % len(STAGES)]}#{i + 1}"):
            message = f"{name}\n\n---\n{facts}\n"
            given.append(f"tag {name}\nfrom :{i + 1}\ntagger {who}\ndata {len(message)}\n{message}\n")
    # Above this limit objects would be packed; Git's own commands leave them loose.
    git.raw("-c", f"fastimport.unpackLimit={10 * number}", "fast-import", "--quiet", given="".join(given).encode())
    return git


def promotable(folder: Path, store: Path | None = None) -> Path:
    """The default project with an origin, and two commits whose models differ; with a DVC remote if one is named."""
    project = workspace(folder / "project")
    origin = str(folder / "origin.git")
    commands = [["git", "init", "--quiet", "--bare", "--initial-branch=main", origin], ["git", "branch", "-M", "main"],
                ["git", "remote", "add", "origin", origin]]  # fmt: skip
    if store:
        commands.append(["dvc", "remote", "add", "--quiet", "--default", "store", str(store)])
    for command in commands:
        seconds(command, project)
    for trees in (None, TREES):
        if trees:
            params = project / "params.yaml"
            text, found = re.subn(r"^n_estimators: \w+", f"n_estimators: {trees}", params.read_text(), flags=re.M)
            if found != 1:
                raise SystemExit("error: params.yaml has no n_estimators")
            params.write_text(text)
        for words in ("dvc repro --quiet", "git add --all", "git commit --quiet --allow-empty --message=bench"):
            seconds(words.split(), project)
    seconds(["git", "push", "--quiet", "origin", "main"], project)
    return project


class Service:
    """The service of a clone, asked about one customer again and again."""

    def __init__(self, port: int, customer: dict[str, Any], processes: Sequence[subprocess.Popen[bytes]]) -> None:
        self._port, self._customer, self._processes = port, customer, processes

    def until(self, version: str) -> None:
        """Ask until this version answers."""
        deadline = time.perf_counter() + PATIENCE
        while self._version() != version:
            ended = [p.args for p in self._processes if p.poll() is not None]
            if ended or time.perf_counter() > deadline:
                raise SystemExit(f"error: {version} does not answer; ended: {ended or 'nobody'}")
            time.sleep(0.005)

    def _version(self) -> str | None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
        with contextlib.closing(connection):
            try:
                connection.request("POST", "/predict", json.dumps(self._customer), {"Content-Type": "application/json"})
                answer: dict[str, str] = json.loads(connection.getresponse().read())
            except OSError:
                return None
        return answer.get("version")


@contextlib.contextmanager
def served(clone: Path, customer: dict[str, Any]) -> Iterator[Service]:
    """`mlops sync --watch` and the service, both in a clone."""
    port = free_port()
    variables = _name(clone) | {"MLOPS_PORT": str(port), "MLOPS_RUN_DIR": str(clone / "run")}
    commands = (["mlops", "sync", "--watch", str(WATCHED)], [sys.executable, "-m", "api"])
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((clone.parent / "log").open("wb"))
        processes = [subprocess.Popen(c, cwd=clone, env=variables, stdout=log, stderr=log) for c in commands]
        try:
            yield Service(port, customer, processes)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(PATIENCE)
