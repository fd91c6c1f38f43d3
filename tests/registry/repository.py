"""A Git repository with versions that a pipeline could have made, without running one; its remotes and clones."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from mlops.git import Git
from tests.registry import files
from tests.registry.files import predictions

__all__ = ["Bundles", "Repository", "predictions"]

Bundles = dict[str, Path]
"""Name → folder of a small real model; the fixture `bundles` makes v1 to v4."""
ROOT = Path(__file__).resolve().parents[2]
PIPELINE: dict[str, Any] = {
    "stages": {
        "preprocess": {
            "cmd": "python src/prepare.py",
            "deps": ["requirements.txt", "src/prepare.py"],
            "params": ["preprocess", "features.sentiment"],
            "outs": [{"data/features": {"persist": True}}],
        },
        "train": {
            "cmd": "python -m fit",
            "deps": ["data/features/train.parquet", "requirements.txt", "src/fit"],
            "params": ["model", "seed", "n_estimators"],
            "outs": ["models/serving"],
        },
        "evaluate": {
            "cmd": ["python src/evaluate.py", "true"],
            "deps": ["data/features/test.parquet", "models/serving", "src/evaluate.py"],
            "params": ["evaluate"],
            "outs": ["data/predictions", {"metrics/evaluate": {"cache": False, "persist": True}}],
        },
    },
    "metrics": ["metrics/evaluate/metrics.json"],
    "artifacts": {"churn": {"path": "models/serving", "type": "model", "desc": "who leaves"}},
}
FILES = {
    "src/prepare.py": "ROWS = 600\n",
    "src/fit/__init__.py": "",
    "src/fit/__main__.py": "TREES = 10\n",
    "src/evaluate.py": "RESAMPLES = 100\n",
    "requirements.txt": "numpy==2.4.0\n",
    ".gitignore": "__pycache__/\n/data/features\n/data/predictions\n/models/*\n!/models/*.dvc\n",
    ".dvcignore": "__pycache__\n",
    ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
    ".dvc/config": "[core]\n    analytics = false\n    check_update = false\n",
}


class Repository:
    """A working tree with DVC's files, one commit at first. Every version's objects lie in its .dvc/cache."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.git = folder, Git(folder)

    @property
    def cache(self) -> Path:
        return self.folder / ".dvc" / "cache"

    @classmethod
    def new(cls, folder: Path) -> Repository:
        """One commit: code, pipeline, params.yaml and policy.yaml of this project, no model yet."""
        folder.mkdir(parents=True)
        self = cls(folder)
        self.git.raw("init", "--quiet", "--initial-branch=main")
        for name, text in FILES.items():
            self.write(name, text)
        for name in ("policy.yaml", "params.yaml"):
            shutil.copy(ROOT / name, folder / name)
        self.write("dvc.yaml", yaml.safe_dump(PIPELINE, sort_keys=False))
        self.commit("A pipeline")
        return self

    def write(self, name: str, content: str | bytes) -> Path:
        place = self.folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
        return place

    def document(self, name: str) -> Any:
        return yaml.safe_load((self.folder / name).read_text())

    def commit(self, message: str) -> str:
        """Commit everything that is not ignored."""
        self.git.raw("add", "--all")
        self.git.raw("commit", "--quiet", "--allow-empty", f"--message={message}")
        return self.git.commit("HEAD")

    def version(
        self,
        bundle: Path,
        scored: pa.Table | None = None,
        *,
        message: str = "A version",
        params: Mapping[str, Any] | None = None,
        experiment: str | None = None,
        features: Mapping[str, pa.Table] | None = None,
    ) -> str:
        """Commit a version whose model is a copy of `bundle`; returns the commit.

        Code that was written into the working tree before is part of it. params: dotted key → value.
        features: train, validation and test as data/features holds them. experiment: not on the branch, but under
        refs/exps of HEAD as DVC files an experiment; the working tree is HEAD's again afterwards.
        """
        head = self.git.commit("HEAD")
        document = self.document("params.yaml")
        for key, value in (params or {}).items():
            files.set_dotted(document, key, value)
        self.write("params.yaml", yaml.safe_dump(document, sort_keys=False))
        self._outputs(bundle, predictions() if scored is None else scored, features)
        lock = files.lock_of(self.folder, self.document("dvc.yaml"), document, self.cache)
        self.write("dvc.lock", yaml.safe_dump(lock, sort_keys=False))
        made = self.commit(message)
        if experiment:
            self.git.raw("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{experiment}", made)
            self.git.raw("reset", "--quiet", "--hard", head)
            self.checkout()
        return made

    def _outputs(self, bundle: Path, scored: pa.Table, features: Mapping[str, pa.Table] | None) -> None:
        for name in ("data/features", "data/predictions", "metrics/evaluate"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
            (self.folder / name).mkdir(parents=True)
        files.put_folder(bundle, self.folder / "models/serving")
        files.write_features(self.folder / "data/features", features or files.features_of(scored), bundle)
        pq.write_table(scored, self.folder / "data/predictions/test.parquet")
        threshold = json.loads((bundle / "manifest.json").read_bytes())["threshold"]
        for name, content in files.metrics_of(scored, threshold).items():
            self.write(f"metrics/evaluate/{name}", content)

    def notebook(self, bundle: Path, message: str = "From a notebook", experiment: str | None = None) -> str:
        """Commit a version whose model no stage made: models/serving.dvc names it, dvc.yaml has no stage for it."""
        head = self.git.commit("HEAD")
        files.put_folder(bundle, self.folder / "models/serving")
        hashed = files.Hashed(self.folder, "models/serving")
        hashed.store(self.cache)
        self.write("models/serving.dvc", yaml.safe_dump({"outs": [{**hashed.entry(), "path": "serving"}]}))
        pipeline = {"artifacts": PIPELINE["artifacts"]}
        self.write("dvc.yaml", yaml.safe_dump(pipeline, sort_keys=False))
        (self.folder / "dvc.lock").unlink(missing_ok=True)
        made = self.commit(message)
        if experiment:
            self.git.raw("update-ref", f"refs/exps/{head[:2]}/{head[2:]}/{experiment}", made)
        self.git.raw("reset", "--quiet", "--hard", head)
        self.checkout()
        return made

    def checkout(self) -> None:
        """Make the cached outputs in the working tree those of its dvc.lock; without one there are none."""
        shutil.rmtree(self.folder / "models", ignore_errors=True)
        shutil.rmtree(self.folder / "data", ignore_errors=True)
        if not (self.folder / "dvc.lock").exists():
            return
        for stage in self.document("dvc.lock")["stages"].values():
            for out in stage["outs"]:
                listing = self.object(out["md5"])
                if listing.exists():
                    for entry in json.loads(listing.read_bytes()):
                        self.write(f"{out['path']}/{entry['relpath']}", self.object(entry["md5"]).read_bytes())

    def object(self, md5: str) -> Path:
        """Where an object of the cache lies."""
        return self.cache / "files" / "md5" / md5[:2] / md5[2:]

    def remote(self, url: str | Path, name: str = "store", **settings: str) -> str:
        """Commit a default DVC remote; returns the commit."""
        text = FILES[".dvc/config"] + f"    remote = {name}\n['remote \"{name}\"']\n    url = {url}\n"
        self.write(".dvc/config", text + "".join(f"    {key} = {value}\n" for key, value in settings.items()))
        return self.commit("A remote for data")

    def bare(self, name: str = "origin") -> Path:
        """A bare repository beside, added as a remote; branch and tags are pushed there."""
        place = self.folder.with_name(f"{self.folder.name}-{name}.git")
        Git(self.folder.parent).raw("init", "--quiet", "--bare", "--initial-branch=main", str(place))
        self.git.raw("remote", "add", name, str(place))
        self.push(name)
        return place

    def push(self, remote: str = "origin") -> None:
        """Push branch and tags."""
        self.git.raw("push", "--quiet", remote, "HEAD:main", "--tags")

    def clone(self, name: str, *options: str, cache: bool = False) -> Repository:
        """A clone of origin where there is one, else of this; with its own copy of the cache if told so."""
        source = self.git.config("remote.origin.url") or str(self.folder)
        place = self.folder.with_name(name)
        Git(self.folder.parent).raw("clone", "--quiet", *options, source, str(place))
        made = Repository(place)
        if cache:
            shutil.copytree(self.cache, made.cache)
        return made

    def tag(
        self, name: str, commit: str, message: str = "", when: datetime | None = None, lightweight: bool = False
    ) -> None:
        """Tag a commit, with an annotation unless `lightweight`; when: the tagger's time."""
        env = {"GIT_COMMITTER_DATE": when.isoformat()} if when else {}
        words = [] if lightweight else ["--annotate", f"--message={message or name}"]
        self.git.raw("tag", *words, name, commit, env={**os.environ, **env})
