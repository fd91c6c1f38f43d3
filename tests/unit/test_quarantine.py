"""Rows set aside: where they came from, every reason, and when they are too many."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops import schema as schemas
from mlops.errors import DataError
from mlops.rows import quarantine, validate
from mlops.rows.quarantine import Source
from mlops.rows.validate import Checked

SCHEMA = schemas.parse(
    {
        "columns": {
            "tenure": {"kind": "number", "required": "true"},
            "nps": {"kind": "number", "max": "10"},
            "plan": {"kind": "category", "levels": ["a", "b"]},
            "churned": {"kind": "target", "positive": "Yes", "negative": "No"},
        }
    }
)


def checked() -> Checked:
    table = pa.table(
        {
            "tenure": ["1", "abc", None, "4"],
            "nps": [5, 11, 12, 3],
            "plan": pa.array(["a", "b", 'c, or "d"', None]).dictionary_encode(),
            "churned": ["Yes", "No", "No", None],
        }
    )
    return validate.check(table, SCHEMA)


def test_every_reason_of_a_row_is_written(tmp_path: Path) -> None:
    quarantine.write(tmp_path / "rows.csv", checked(), [Source("a.csv", 2), Source("b.csv", 2)])
    assert (tmp_path / "rows.csv").read_bytes().decode() == (
        "file,record,reason,tenure,nps,plan,churned\n"
        "a.csv,2,tenure: 'abc' is not a number; nps: 11 is above max 10,abc,11,b,No\n"
        'b.csv,1,"tenure: is missing; nps: 12 is above max 10; plan: \'c, or ""d""\' is none of the levels",'
        ',12,"c, or ""d""",No\n'
    )


def test_no_bad_row_leaves_the_header(tmp_path: Path) -> None:
    table = pa.table({"tenure": [1], "nps": [1], "plan": ["a"], "churned": ["No"]})
    quarantine.write(tmp_path / "rows.csv", validate.check(table, SCHEMA), [Source("a.csv", 1)])
    assert (tmp_path / "rows.csv").read_text() == "file,record,reason,tenure,nps,plan,churned\n"


def test_reasons_are_counted_most_frequent_first() -> None:
    assert list(quarantine.counts(checked().failures).items()) == [
        ("nps is above max 10", 2),
        ("plan is none of the levels", 1),
        ("tenure is missing", 1),
        ("tenure is not a number", 1),
    ]


@given(st.lists(st.lists(st.booleans(), max_size=12), min_size=1, max_size=4), st.booleans())
def test_rows_are_found_in_their_files(files: list[list[bool]], preamble: bool) -> None:
    """True: the record became a row. Record numbers count rejected records too; record 0 stands before the header."""
    rejected = [[n for n, good in enumerate(f, 1) if not good] for f in files]
    sources = [
        Source(str(i), sum(f), tuple([0] * preamble + bad))
        for i, (f, bad) in enumerate(zip(files, rejected, strict=True))
    ]
    expected = [(str(i), n) for i, f in enumerate(files) for n, good in enumerate(f, 1) if good]
    assert quarantine.locate(np.arange(len(expected)), sources) == expected


def test_too_many_bad_rows_stop_with_one_line() -> None:
    with pytest.raises(DataError) as stopped:
        quarantine.refuse_too_many(checked(), [Source("a.csv", 4, (5,))], 0.5)
    assert str(stopped.value) == (
        "3 of 5 rows (60.00%) cannot be used, preprocess.max_bad_share allows 50.00%; mostly nps: 11 is above max 10"
        " (record 2 of a.csv, the first of 2 such); fix the file, edit nps in data/schema.yaml,"
        " or raise preprocess.max_bad_share in params.yaml"
    )
    quarantine.refuse_too_many(checked(), [Source("a.csv", 4, (5,))], 0.6)


def test_rejected_records_count_as_bad() -> None:
    with pytest.raises(DataError, match=r"5 records are no rows of the table \(data/raw/rejected.csv says why\)"):
        quarantine.refuse_too_many(checked(), [Source("a.csv", 4, (1, 2, 3, 4, 5))], 0.5)


def test_long_values_are_cut_in_messages(tmp_path: Path) -> None:
    table = pa.table({"tenure": ["x" * 500, "1"], "nps": [1, 1], "plan": ["a", "a"], "churned": ["No", "No"]})
    quarantine.write(tmp_path / "rows.csv", validate.check(table, SCHEMA), [Source("a.csv", 2)])
    (row,) = csv.DictReader((tmp_path / "rows.csv").read_text().splitlines())
    assert row["reason"] == f"tenure: '{'x' * 40}…' is not a number"
    assert row["tenure"] == "x" * 500
