"""What a commit says of its data without reading any: digests in dvc.lock, columns in data/schema.yaml."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from mlops import schema as schemas
from mlops.errors import SchemaError, StoreError
from mlops.git import Git
from mlops.schema import Schema
from mlops.store import lock
from mlops.store.lock import Out

RAW, FEATURES = "data/raw", "data/features"


@dataclass(frozen=True)
class Recorded:
    """A commit's data by its digests; None for what it has none of. flaw: what is wrong with what it says."""

    commit: str
    raw: Out | None
    features: Out | None
    schema: Schema | None
    flaw: str | None

    @property
    def reading(self) -> object:
        """What decides how the same bytes are understood: kinds of columns and the target's two values."""
        return self.schema and [(c.name, c.kind, c.positive, c.negative) for c in self.schema.columns]


def recorded(git: Git, commit: str) -> Recorded:
    """What a commit says.

    Raises:
        StoreError: its dvc.lock is not valid.
    """
    made = None if git.read(commit, lock.FILE) is None else lock.read(git, commit)
    raw, features = (made.out(path) if made else None for path in (RAW, FEATURES))
    schema, flaw = _schema(git, commit)
    return Recorded(commit, raw or lock.pointer(git, commit, RAW), features, schema, flaw)


def _schema(git: Git, commit: str) -> tuple[Schema | None, str | None]:
    content = git.read(commit, schemas.PATH.as_posix())
    where = f"{schemas.PATH} of commit {commit[:8]}"
    if content is None:
        return None, f"commit {commit[:8]} has no {schemas.PATH}: kinds of columns are guessed, rows have no key"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / schemas.PATH.name
        path.write_bytes(content)
        try:
            return schemas.load(path), None
        except SchemaError as error:
            said = str(error).replace(str(path), str(schemas.PATH))
            return None, f"{where} is not used, kinds of columns are guessed: {said}"


def lacking(side: Recorded) -> StoreError:
    """What to say of a commit that has no data."""
    return StoreError(
        f"commit {side.commit[:8]} has no {RAW}: neither {lock.FILE} nor {RAW}.dvc names it;"
        f" `dvc repro && git add {lock.FILE} && git commit` makes a commit that has it"
    )
