"""A repository with experiments whose scored rows are known, as the pipeline and as notebooks leave them; no model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from mlops.experiments import filing
from tests.registry import files
from tests.registry.repository import Repository, predictions

THRESHOLD = 0.2
BY_DVC = "dvc: commit experiment 0123456789abcdef"


class Compared:
    """Main with a version of its own, and what is tried on top of it."""

    def __init__(self, folder: Path) -> None:
        self.repository = Repository.new(folder / "project")
        self.git = self.repository.git
        self._bundle = folder / "bundle"
        self._bundle.mkdir()
        (self._bundle / "manifest.json").write_text(json.dumps({"threshold": THRESHOLD}))
        (self._bundle / "encoder.json").write_text(json.dumps({"inputs": [], "features": []}))
        self.main = self.version(predictions(strength=0.5))

    def version(self, scored: pa.Table, **params: Any) -> str:
        """A commit on main."""
        return self.repository.version(self._bundle, scored, params=params)

    def tried(self, name: str, scored: pa.Table, message: str = BY_DVC, **params: Any) -> str:
        """An experiment as `dvc exp run` leaves it."""
        return self.repository.version(self._bundle, scored, params=params, experiment=name, message=message)

    def logged(self, name: str, scored: pa.Table | None = None, **told: Any) -> str:
        """An experiment as a notebook's run leaves it. told: metrics, params, or what its record says."""
        record = {"name": name, "state": "finished", "note": "", **told}
        metrics, params = record.pop("metrics", None), record.pop("params", None)
        changes: dict[str, bytes | None] = {"metrics/evaluate": None, "notebook.json": json.dumps(record).encode()}
        if scored is not None:
            changes["data/notebook.dvc"] = self._kept(scored)
            measured = files.metrics_of(scored, THRESHOLD)
            changes |= {f"metrics/evaluate/{n}": measured[n] for n in ("metrics.json", "intervals.json")}
        if metrics is not None:
            changes["metrics/evaluate/metrics.json"] = json.dumps(metrics).encode()
        if params:
            changes["notebook.yaml"] = yaml.safe_dump(params).encode()
        base = self.git.commit("HEAD")
        return filing.file(self.git, name=name, base=base, changes=changes, message=record["note"]).commit

    def _tree(self, changed: Mapping[str, str]) -> str:
        """A tree that is HEAD's with other files."""
        env = {"GIT_INDEX_FILE": str(self.repository.folder / ".git" / "another-index")}
        self.git.raw("read-tree", "HEAD", env=env)
        for path, text in changed.items():
            blob = self.git.text("hash-object", "-w", "--stdin", given=text.encode())
            self.git.raw("update-index", "--add", "--cacheinfo", f"100644,{blob},{path}", env=env)
        return self.git.text("write-tree", env=env)

    def filed(self, name: str, changed: Mapping[str, str]) -> str:
        """An experiment of HEAD with other files, whatever is in them."""
        base = self.git.commit("HEAD")
        commit = self.git.text("commit-tree", self._tree(changed), "-p", base, "-m", name)
        self.git.raw("update-ref", f"refs/exps/{base[:2]}/{base[2:]}/{name}", commit)
        return commit

    def _kept(self, scored: pa.Table) -> bytes:
        folder = self.repository.folder / "data" / "notebook"
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(scored, folder / "test.parquet")
        hashed = files.Hashed(self.repository.folder, "data/notebook")
        hashed.store(self.repository.cache)
        entry: Mapping[str, Any] = {**hashed.entry(), "path": "notebook"}
        return yaml.safe_dump({"outs": [dict(entry)]}).encode()

    def promoted(self, commit: str, version: str = "v1.0.0") -> None:
        """Register a commit, and make it what prod serves."""
        self.repository.tag(f"churn@{version}", commit)
        self.repository.tag("churn#prod#1", commit)
