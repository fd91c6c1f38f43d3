"""Stage preprocess: raw rows → checked rows → features on three sides of a split.

Writes data/features/ (train, validation, test and unlabelled rows, the plan of features, a summary) and
data/quarantine/rows.csv (rows that break data/schema.yaml, with the reasons).
"""

from __future__ import annotations

import csv
import json
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mlops import columns, features, stage
from mlops import schema as schemas
from mlops.errors import DataError, SchemaError
from mlops.features import Coded, Feature, Plan, Values
from mlops.params import Preprocess, View
from mlops.rows import leakage, quarantine, split, validate
from mlops.rows.identity import UNLABELLED, Rows, identify
from mlops.rows.quarantine import Source
from mlops.rows.validate import Checked
from mlops.schema import Schema

RAW = Path("data/raw")
ROW_GROUP = 131_072
SIDE_NAMES = (*split.SIDES, *["unused"] * len(split.UNUSED))


@dataclass(frozen=True)
class Raw:
    """What ingest wrote: the rows of all files, those of a test file last, from row `tested_from` on."""

    table: pa.Table
    sources: tuple[Source, ...]
    tested_from: int | None


def read_raw(schema: Schema, folder: Path = RAW) -> Raw:
    """The rows that ingest wrote, the schema's columns only.

    Raises:
        SchemaError: a column of the schema is not there.
        DataError: there is no row, or not even a table.
    """
    for name in ("table.parquet", "metadata.json", "rejected.csv"):
        if not (folder / name).exists():
            raise DataError(f"{folder / name} is missing; `dvc repro ingest` writes it")
    paths = [p for p in (folder / "table.parquet", folder / "test.parquet") if p.exists()]
    parts = [_read_columns(path, schema) for path in paths]
    table = pa.concat_tables(parts).unify_dictionaries()
    pa.default_memory_pool().release_unused()  # what decompression took, half as much again as the table
    if table.num_rows == 0:
        raise DataError(f"{folder} has no row; bring a table with rows with `mlops data use`")
    return Raw(table, _sources(folder), parts[0].num_rows if len(parts) == 2 else None)


def _read_columns(path: Path, schema: Schema) -> pa.Table:
    wanted = {c.name: c for c in schema.columns if c.kind != "ignore"}
    known = pq.read_schema(path).names
    for name in wanted:
        if name not in known:
            raise SchemaError(
                f"{path} has no column {name!r} of {schemas.PATH}; set it to kind: ignore there, or name the table"
                " again with `mlops data use`"
            )
    texts = [name for name, c in wanted.items() if c.kind in ("category", "text")]
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        return file.read(columns=list(wanted)).select(list(wanted))


def _sources(folder: Path) -> tuple[Source, ...]:
    files = json.loads((folder / "metadata.json").read_bytes())["files"]
    rejected = defaultdict(list)
    with (folder / "rejected.csv").open(encoding="utf-8", newline="") as file:
        csv.field_size_limit(sys.maxsize)
        for record in csv.DictReader(file):
            rejected[record["file"]].append(int(record["record"]))
    ordered = sorted(files, key=lambda f: f["role"] == "test")
    return tuple(Source(f["name"], f["rows"], tuple(rejected[f["name"]])) for f in ordered)


def computed(plan: Plan, table: pa.Table) -> Iterator[tuple[Feature, Values]]:
    """The features one after the other; raw columns are held only until the last feature made of them."""
    last = {name: f.name for f in plan.features for name in f.inputs}
    raw: dict[str, Values] = {}
    for feature in plan.features:
        raw |= columns.raw(table, [i for i in plan.inputs if i.name in feature.inputs and i.name not in raw])
        yield feature, Plan(plan.inputs, (feature,)).columns(raw)[feature.name]
        raw = {name: values for name, values in raw.items() if last[name] != feature.name}


def stored(values: Values) -> pa.Array:
    """A feature as it is stored: levels sorted, and only those that a row has."""
    if isinstance(values, Coded):
        used = np.unique(values.codes[values.codes >= 0])
        order = sorted(used.tolist(), key=values.levels.__getitem__)
        place = np.full(len(values.levels) + 1, -1, dtype=np.int32)
        place[order] = np.arange(len(order), dtype=np.int32)
        values = Coded(place[values.codes], tuple(values.levels[i] for i in order))
    return columns.to_arrow(values)


def make_features(plan: Plan, table: pa.Table, rows: Rows) -> tuple[dict[str, pa.Array], dict[str, float]]:
    """All features as they are stored, and how well each alone tells the target on training rows (AUC)."""
    train = np.flatnonzero(rows.on(split.TRAIN))
    train = train[leakage.sample(rows.hashes[train])]
    y = rows.y[train]
    half = (rows.drawn[train] * 2.0**32).astype(np.int64) % 2 == 0  # by customer, apart from the draw's size
    made, aucs = {}, {}
    for feature, values in computed(plan, table):
        if leakage.enough(y):
            some = Coded(values.codes[train], values.levels) if isinstance(values, Coded) else values[train]
            aucs[feature.name] = leakage.auc_alone(some, y, half)
        made[feature.name] = stored(values)
    return made, aucs


def report_leaks(aucs: dict[str, float], plan: Plan, schema: Schema, action: str) -> None:
    """Say on stderr which features give the target away.

    Raises:
        DataError: there is one, and the action is `stop`.
    """
    derived = {d.name for d in schema.derived}
    for feature in plan.features:
        if aucs.get(feature.name, 0.0) <= leakage.LIMIT:
            continue
        source = None if feature.name in derived else feature.inputs[-1]
        told = leakage.message(feature.name, aucs[feature.name], source)
        if action == "stop":
            raise DataError(f"{told}; preprocess.leakage: warn in params.yaml goes on all the same")
        print(f"LEAKAGE: {told}", file=sys.stderr)


def write_sides(folder: Path, rows: Rows, made: dict[str, pa.Array]) -> None:
    """train, validation, test and unlabelled.parquet: who, when, outcome, then the features."""
    front = {"__key": rows.key, "__customer": rows.customer}
    if rows.time is not None:
        front["__time"] = pc.cast(rows.time, pa.timestamp("s"))
    truth = {} if rows.truth is None else {"__truth": pc.cast(rows.truth, pa.float64())}
    labelled = pa.table({**front, "__y": pa.array(rows.y), **truth, **made})
    for side, name in enumerate(split.SIDES):
        _write(folder / f"{name}.parquet", labelled.filter(pa.array(rows.on(side))))
    sides = pa.array(SIDE_NAMES).take(pa.array(rows.side))
    unlabelled = pa.table({**front, "__side": sides, **truth, **made})
    _write(folder / "unlabelled.parquet", unlabelled.filter(pa.array(rows.y == UNLABELLED)))


def _write(path: Path, table: pa.Table) -> None:
    pq.write_table(table, path, compression="zstd", row_group_size=ROW_GROUP)


def nullable(schema: Schema, table: pa.Table, train: NDArray[np.bool_]) -> dict[str, bool]:
    """Per column that features are made of, whether a training row misses it."""
    missing = {}
    for c in [*schema.features, *schema.of_kind("time")]:
        gaps = pc.is_null(table.column(c.name), nan_is_null=True).to_numpy()
        missing[c.name] = bool((gaps & train).any())
    return missing


def summary(raw: Raw, checked: Checked, rows: Rows, aucs: dict[str, float]) -> dict[str, Any]:
    """What became of the rows, in counts, and the leakage AUCs."""
    return {
        "rows": raw.table.num_rows,
        "rejected": sum(len(s.rejected) for s in raw.sources),
        "quarantined": {"rows": len(checked.bad_rows), "reasons": quarantine.counts(checked.failures)},
        "unlabelled": int((rows.y == UNLABELLED).sum()),
        "duplicates": rows.repeated(),
        "cutoff": None if rows.cutoff is None else split.iso(rows.cutoff),
        "unused": rows.unused(),
        "sides": {name: rows.counts(side) for side, name in enumerate(split.SIDES)},
        "leakage": {name: round(auc, 4) for name, auc in aucs.items()},
    }


def check_sides(rows: Rows) -> None:
    """Refuse a split with an empty side.

    Raises:
        DataError: names the side.
    """
    if not (rows.y != UNLABELLED).any():
        raise DataError(
            f"none of the {len(rows.y):,} rows that keep the rules has a target; see what {schemas.PATH} says with"
            " `mlops data show`"
        )
    for side, name in enumerate(split.SIDES):
        if not rows.on(side).any():
            raise DataError(
                f"no row with a target is on the {name} side of the split; bring more rows, or change test_share,"
                " validation_share or cutoff of preprocess in params.yaml"
            )


def shared_customers(rows: Rows, tested: NDArray[np.bool_]) -> int:
    """How many ids occur both in the table and in its test file."""
    both = pc.is_in(pc.unique(rows.customer.filter(pa.array(tested))), rows.customer.filter(pa.array(~tested)))
    return int(pc.sum(both).as_py() or 0)


def told(counts: dict[str, Any]) -> Iterator[str]:
    """The summary in a few lines for people."""
    bad = counts["quarantined"]
    yield (
        f"{counts['rows']:,} rows: {bad['rows']:,} quarantined, {counts['unlabelled']:,} without target,"
        f" {counts['duplicates']:,} repeated"
    )
    for reason, number in list(bad["reasons"].items())[:5]:
        yield f"  quarantined: {reason} ({number:,})"
    if counts["cutoff"]:
        unused = ", ".join(f"{number:,} of {why}" for why, number in counts["unused"].items())
        yield f"cutoff {counts['cutoff']}; rows not used: {unused or 'none'}"
    for name, side in counts["sides"].items():
        share = side["positives"] / side["rows"]
        yield f"{name:<10} {side['rows']:>10,} rows of {side['customers']:,} customers, {share:.1%} churned"


def work(params: View) -> None:
    """Check data/raw, and put data/features and data/quarantine in place of the previous ones."""
    schema = schemas.load()
    settings: Preprocess = params.get("preprocess")
    raw = read_raw(schema)
    checked = validate.check(raw.table, schema)
    quarantine.refuse_too_many(checked, raw.sources, settings.max_bad_share)
    with stage.replaced("data/features", "data/quarantine") as (folder, aside):
        quarantine.write(aside / "rows.csv", checked, raw.sources)
        counts = prepare(raw, checked, schema, params, folder)
        _write_json(folder / "summary.json", counts)
    print("\n".join(told(counts)))


def prepare(raw: Raw, checked: Checked, schema: Schema, params: View, folder: Path) -> dict[str, Any]:
    """Split the good rows, derive and write their features; returns the summary."""
    settings: Preprocess = params.get("preprocess")
    good = np.ones(raw.table.num_rows, dtype=bool)
    good[checked.bad_rows] = False
    table = checked.table if good.all() else checked.table.filter(pa.array(good))
    tested = None if raw.tested_from is None else np.flatnonzero(good) >= raw.tested_from
    rows = identify(table, schema, tested, settings)
    check_sides(rows)
    _warn_of_test_file(rows, tested, settings, schema)
    gaps = nullable(schema, table, rows.on(split.TRAIN))
    plan = features.plan(schema, gaps, with_sentiment=params.get("features.sentiment"))
    made, aucs = make_features(plan, table, rows)
    report_leaks(aucs, plan, schema, settings.leakage)
    write_sides(folder, rows, made)
    _write_json(folder / "plan.json", plan.to_json())
    return summary(raw, checked, rows, aucs)


def _warn_of_test_file(rows: Rows, tested: NDArray[np.bool_] | None, settings: Preprocess, schema: Schema) -> None:
    if tested is None:
        return
    if settings.cutoff not in ("auto", "none"):
        print("warning: preprocess.cutoff is not used: the test rows came in a file of their own", file=sys.stderr)
    shared = 0 if schema.role("id") is None else shared_customers(rows, tested)
    if shared:
        print(f"warning: {shared:,} ids are both in the table and in its test file; all rows are kept", file=sys.stderr)


def _write_json(path: Path, document: dict[str, Any]) -> None:
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Entry point of the stage; returns the exit code."""
    pa.set_memory_pool(pa.system_memory_pool())  # as fast here as Arrow's own pool, and 120 MB less at a million rows
    return stage.run("preprocess", work)


if __name__ == "__main__":
    sys.exit(main())
