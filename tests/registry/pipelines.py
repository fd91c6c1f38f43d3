"""Random pipelines of shell commands, changed by two sides, run by DVC: what a merge of dvc.lock has to get right."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from dvc.repo import Repo

from mlops.git import Git

SPACE = "# what is edited below and above are not neighbours\n" * 4


@dataclass
class Stage:
    """A stage that copies what it reads into what it writes.

    kind: "file" and "folder" are cached, "kept" is in Git, "count" writes only how many lines it read, so that many
    inputs give one output. code: both sides may edit it, each in its own file. items: of a `foreach`.
    own: its file of parameters, if that is not params.yaml.
    """

    name: str
    kind: str
    reads: list[str]
    code: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    own: str = ""

    @property
    def out(self) -> str:
        each = "-${item}" if self.items else ""
        return f"{'kept' if self.kind == 'kept' else 'out'}/{self.name}{each}"

    @property
    def readable(self) -> list[str]:
        """Paths that another stage may read: all of a folder, or one file in it."""
        outs = [self.out.replace("${item}", item) for item in self.items] or [self.out]
        return [f"{out}/all" for out in outs] + [f"{out}/first" for out in outs] + outs if self.folder else outs

    @property
    def folder(self) -> bool:
        return self.kind == "folder"

    def declared(self) -> dict[str, Any]:
        """As in dvc.yaml."""
        deps = [*self.code, *self.reads]
        values = f"cat {self.own}" if self.own else f"sed -n '/^{self.name}:/,/^#/p' params.yaml"
        words = f"{{ cat $(find {' '.join(deps)} -type f | sort); {values}; }}"
        if self.items:
            words = f"{{ {words}; echo ${{item}}; }}"
        write = f"mkdir -p {self.out} && {words} > {self.out}/all && head -n 1 {deps[0]} > {self.out}/first"
        if not self.folder:
            count = " | wc -l | tr -d ' '" if self.kind == "count" else ""
            write = f"mkdir -p {os.path.dirname(self.out)} && {words}{count} > {self.out}"
        log = f"{self.name}@${{item}}" if self.items else self.name
        body = {
            "cmd": f'echo {log} >> "$RAN" && {write}',
            "deps": deps,
            "params": [{self.own: ["a", "b"]}] if self.own else [f"{self.name}.a", f"{self.name}.b"],
            "outs": [{self.out: {"cache": False}} if self.kind == "kept" else self.out],
        }
        return {"foreach": self.items, "do": body} if self.items else body


class Project:
    """A Git and DVC repository with a random pipeline. Runs of stages are counted in `ran`, beside it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.git, self.random = folder, Git(folder), random.Random(seed)
        self.ran = folder.with_name(f"{folder.name}.ran")
        self.stages: list[Stage] = []

    def build(self) -> None:
        """The first commit, with everything run."""
        self.folder.mkdir()
        self.git.raw("init", "--quiet", "--initial-branch=main")
        Repo.init(str(self.folder)).close()
        self.write(".dvc/config", "[core]\n    analytics = false\n    autostage = false\n")
        self.write(".gitignore", "/out\n")
        for number in range(self.random.randint(4, 6)):
            self.add(f"s{number}", self.random.choice(["file", "folder", "kept", "count"]))
        self.add("each", "file", ["x", "y"])
        self.write_pipeline()
        for stage in self.stages:
            self.parameter(stage, "a", 0)
        self.repro()
        self.commit("base")

    def add(self, name: str, kind: str, items: Iterable[str] = (), first: bool = False) -> None:
        """A stage that reads up to two outputs of stages before it."""
        readable = [] if first else [path for stage in self.stages for path in stage.readable]
        reads = self.random.sample(readable, min(len(readable), self.random.randint(0, 2)))
        # No stage reads a folder and a file in it: the same path twice is an error for DVC.
        reads = [path for path in reads if os.path.dirname(path) not in reads]
        stage = Stage(name, kind, sorted(reads), [f"code/{name}.a", f"code/{name}.b"], list(items))
        for path in stage.code:
            self.write(path, f"{path}\n")
        self.stages.insert(0 if first else len(self.stages), stage)

    def write(self, name: str, text: str) -> None:
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)

    def write_pipeline(self) -> None:
        """dvc.yaml and params.yaml, so that changes of different stages do not touch."""
        blocks = [yaml.safe_dump({s.name: s.declared()}, sort_keys=False, width=10_000) for s in self.stages]
        indented = ["".join(f"  {line}\n" for line in block.splitlines()) for block in blocks]
        self.write("dvc.yaml", "stages:\n" + "".join(SPACE.replace("#", "  #") + block for block in indented) + SPACE)

    def parameter(self, stage: Stage, key: str, value: int) -> None:
        """Set a parameter; a file's first one makes it."""
        place = self.folder / "params.yaml"
        if stage.own:
            return self.write(stage.own, f"a: {value}\nb: 1\n")
        text = place.read_text() if place.exists() else ""
        blank = "  # a\n  # b\n  # c\n"
        if f"{stage.name}:\n" not in text:
            text += f"{stage.name}:\n  a: 0\n{blank}  b: 0\n{SPACE}"
        start = text.index(f"{stage.name}:\n")
        at = text.index(f"  {key}: ", start)
        end = text.index("\n", at)
        return self.write("params.yaml", f"{text[:at]}  {key}: {value}{text[end:]}")

    def change(self, side: str, times: int) -> None:
        """Change code, parameters or the pipeline, as side "a" or "b" does, and run some or all of it."""
        for _ in range(times):
            stage = self.random.choice(self.stages)
            kind = self.random.choice(["code", "code", "parameter", "parameter", "edit", "add", "remove"])
            if kind == "code":
                self.write(f"code/{stage.name}.{side}", f"{self.random.random()}\n" * self.random.randint(1, 2))
            elif kind == "parameter":
                self.parameter(stage, side, self.random.randint(1, 99))
            elif kind == "add":
                self._add_for(side)
            elif self.stages.index(stage) % 2 == (side == "b"):  # each side edits dvc.yaml at stages of its own
                self._edit(stage, side) if kind == "edit" else self._remove(stage)
        self.write_pipeline()

    def _add_for(self, side: str) -> None:
        name = f"new{side}"
        if not any(stage.name == name for stage in self.stages):
            self.add(name, self.random.choice(["file", "kept"]), first=side == "a")
            self.stages[0 if side == "a" else -1].own = f"more-{side}.yaml"
            self.write(f"more-{side}.yaml", "a: 1\nb: 1\n")

    def _edit(self, stage: Stage, side: str) -> None:
        if stage.items:
            stage.items.append(f"z{side}{len(stage.items)}")
        else:
            self.write(f"code/{stage.name}.more", "more\n")
            stage.code = sorted({*stage.code, f"code/{stage.name}.more"})

    def _remove(self, stage: Stage) -> None:
        read = {path for other in self.stages for path in other.reads}
        if len(self.stages) > 3 and stage.kind != "kept" and read.isdisjoint(stage.readable):
            self.stages.remove(stage)
            lock = yaml.safe_load((self.folder / "dvc.lock").read_text())
            if self.random.random() < 0.5:  # as `dvc remove` does; else as an editor does
                for name in [n for n in lock["stages"] if n.partition("@")[0] == stage.name]:
                    del lock["stages"][name]
                self.write("dvc.lock", yaml.safe_dump(lock, sort_keys=False))

    def commit(self, message: str) -> str:
        self.git.raw("add", "--all")
        self.git.raw("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git.commit("HEAD")

    def repro(self, target: str | None = None) -> list[str]:
        """Run what DVC finds changed, never out of the run cache; the stages that ran, in order."""
        self.ran.write_text("")
        os.environ["RAN"] = str(self.ran)
        there = os.getcwd()
        os.chdir(self.folder)
        try:
            with Repo(str(self.folder)) as repo:
                repo.reproduce(target, run_cache=False)
        finally:
            os.chdir(there)
        return self.ran.read_text().split()

    def checkout(self, branch: str, *words: str) -> None:
        self.git.raw("checkout", "--quiet", *words, branch)
        with Repo(str(self.folder)) as repo:
            repo.checkout(force=True, allow_missing=True)

    def lock(self, commit: str | None = None) -> dict[str, Any]:
        """The stages of dvc.lock in the working tree, or in a commit."""
        content = self.git.read(commit, "dvc.lock") if commit else (self.folder / "dvc.lock").read_bytes()
        return dict(yaml.safe_load(content or b"{}").get("stages") or {})

    def outputs(self) -> dict[str, str]:
        """Path → digest of every file that stages of dvc.yaml write."""
        with Repo(str(self.folder)) as repo:
            outs = [Path(out.fs_path) for stage in repo.index.stages for out in stage.outs]
        files = [file for out in outs for file in ([out] if out.is_file() else sorted(out.rglob("*")))]
        return {str(f.relative_to(self.folder)): hashlib.md5(f.read_bytes()).hexdigest() for f in files}
