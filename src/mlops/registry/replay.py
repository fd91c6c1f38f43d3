"""`mlops history --at T --replay FILE`: a file scored by what served at a moment."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlops import production, schema
from mlops.errors import RegistryError
from mlops.registry import past
from mlops.registry.look import Registry
from mlops.registry.show import Record

TABLES = (".gz", ".csv", ".parquet")


def score(registry: Registry, served: Mapping[str, Record], stage: str | None, file: str, output: str | None) -> str:
    """Score a file with the version that a stage served, fetched by digest; each row names it. Nothing else changes.

    Args:
        registry: of this repository.
        served: what the stages served at the moment.
        stage: whose version; policy.yaml's stage of promotions unless told.
        file: CSV or Parquet.
        output: where the scores go; FILE's name with the version, as CSV, unless told.

    Returns:
        What was done, in a line.

    Raises:
        RegistryError: the stage served nothing.
        MlopsError: the model is not to be had, or the file cannot be scored; then nothing is written.
    """
    chosen = stage or registry.policy.promotion.stage
    if chosen not in served:
        others = f"; {', '.join(served)} did: name it with --stage" if served else ""
        raise RegistryError(f"{chosen} served nothing at that moment, so that nothing can be replayed{others}")
    record = served[chosen]
    target = Path(output) if output else _beside(Path(file), record["version"])
    with tempfile.TemporaryDirectory(prefix="mlops-replay-") as folder:
        _install(registry, chosen, record, Path(folder))
        scored, quarantined, aside = _predict(Path(folder), chosen, Path(file).absolute(), target.absolute())
    bad = f", {quarantined:,} quarantined in {target.with_name(aside)}" if quarantined else ""
    return f"{scored:,} rows scored{bad}: {target}, {chosen}'s {record['version']} (commit {record['commit'][:8]})"


def _beside(file: Path, version: str) -> Path:
    name = file.name
    for suffix in TABLES:
        name = name.removesuffix(suffix)
    return file.with_name(f"{name}.{version}.csv")


def _install(registry: Registry, stage: str, record: Record, folder: Path) -> None:
    """Lay out a project of that moment: its model as promoted, its schema for the columns' own words for "no value"."""
    past.fetch(registry, record["commit"], folder / "model")
    root = folder / "models" / "production"
    named = {key: record[key] for key in ("version", "commit", "tag")}
    production.install(folder / "model", root, {"name": registry.name, "stage": stage, **named})
    production.write_state(root, {stage: record["version"]})
    described = registry.git.read(record["commit"], schema.PATH.as_posix())
    if described is not None:
        (folder / schema.PATH).parent.mkdir(parents=True)
        (folder / schema.PATH).write_bytes(described)


def _predict(folder: Path, stage: str, file: Path, target: Path) -> tuple[int, int, str]:
    """Rows scored and quarantined, and the name of the file that tells of the latter."""
    from mlops.batch.request import Request
    from mlops.batch.run import predict

    name = target.name.removesuffix(".gz")
    aside = target.with_name(f"{name.removesuffix(Path(name).suffix)}.rejected.csv")
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    request = Request(file, target, aside, folder / "models", stage, threads=threads)
    with contextlib.chdir(folder):
        done = predict(request)
    if not done.quarantined:
        aside.unlink()
    return done.scored, done.quarantined, aside.name
