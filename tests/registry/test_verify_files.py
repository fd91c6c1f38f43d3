"""What differs between a file that was recorded and one that was rebuilt: where, how much, and whether it counts."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.verify.close import Found, within
from mlops.verify.files import compare

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)


def written(folder: Path, name: str, was: bytes, now: bytes) -> Found:
    paths = [folder / side / name for side in ("was", "now")]
    for path, content in zip(paths, (was, now), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return compare(paths[0], paths[1], name)


def of_json(folder: Path, was: Any, now: Any, name: str = "metrics.json") -> Found:
    return written(folder, name, json.dumps(was).encode(), json.dumps(now).encode())


def of_tables(folder: Path, was: dict[str, Any], now: dict[str, Any]) -> Found:
    for side, columns in (("was", was), ("now", now)):
        pq.write_table(pa.table(columns), folder / f"{side}.parquet")
    return compare(folder / "was.parquet", folder / "now.parquet", "test.parquet")


@given(NUMBERS, st.decimals(min_value=-1, max_value=1, allow_nan=False, places=9))
def test_numbers_count_as_equal_up_to_a_millionth(value: float, step: Decimal) -> None:
    other = float(Decimal(value) + step * Decimal("4e-6"))
    apart = abs(Decimal(value) - Decimal(other))
    found = bool(within(np.array([value]), np.array([other]))[0])
    if apart <= Decimal("1e-6"):
        assert found
    if apart > Decimal("1e-6") + Decimal("4e-15") * Decimal(max(abs(value), abs(other), 1)):
        assert not found


def test_what_is_no_number_equals_only_itself() -> None:
    nan, inf = float("nan"), float("inf")
    was, now = np.array([nan, inf, inf, nan, 1.0]), np.array([nan, inf, -inf, 1.0, inf])
    assert within(was, now).tolist() == [True, True, False, False, False]


def test_large_float32_may_be_neighbours() -> None:
    was = np.array([1234.5, 1234.5], dtype=np.float32)
    now = np.array([np.nextafter(was[0], np.float32(2e3)), 1234.6], dtype=np.float32)
    assert within(was, now).tolist() == [True, False]
    assert within(was.astype(np.float64), now.astype(np.float64)).tolist() == [False, False]


@given(
    st.lists(NUMBERS, min_size=1, max_size=20),
    st.dictionaries(st.integers(0, 19), st.floats(min_value=0.5, max_value=9.0), max_size=5),
)
def test_a_column_is_told_with_its_rows_and_the_largest_difference(
    tmp_path_factory: pytest.TempPathFactory, values: list[float], moved: dict[int, float]
) -> None:
    now = [value + moved.get(place, 0.0) for place, value in enumerate(values)]
    gaps = [abs(a - b) for a, b in zip(values, now, strict=True)]
    found = of_tables(tmp_path_factory.mktemp("tables"), {"id": [*map(str, values)], "price": values}, {
        "id": [*map(str, values)], "price": now,
    })  # fmt: skip
    assert found.equal == (max(gaps) == 0)
    (line,) = found.words
    if max(gaps):
        several = sum(gap > 0 for gap in gaps)
        assert line.startswith(f"column price: {several} of {len(values)} rows, largest |difference| {max(gaps):.3g} ")
    else:
        assert line == "other bytes, the same rows"


@pytest.mark.parametrize(
    ("was", "now", "equal", "words"),
    [
        ([0.25, 0.5], [0.25, 0.5000009], True, "column p: 1 of 2 rows, largest |difference| 9e-07 (row 1: 0.5"),
        ([0.25, None], [0.25, 0.5], False, "column p: 1 of 2 rows (row 1: None recorded, 0.5 rebuilt)"),
        ([0.25, float("nan")], [0.25, None], False, "column p: 1 of 2 rows (row 1: nan recorded, None rebuilt)"),
        (["a", "b"], ["a", "c"], False, "column p: 1 of 2 rows (row 1: b recorded, c rebuilt)"),
        (["a", None], ["a", "c"], False, "column p: 1 of 2 rows (row 1: None recorded, c rebuilt)"),
        ([1_000_000, 5], [1_000_001, 5], False, "column p: 1 of 2 rows, largest |difference| 1 (row 0: 1000000"),
        ([True, False], [True, True], False, "column p: 1 of 2 rows (row 1: False recorded, True rebuilt)"),
        ([[1], [2]], [[1], [3]], False, "column p: other values"),
        ([1, 2], [1.0, 2.0], False, "column p: int64 recorded, double rebuilt"),
        ([1, 2], [1, 2, 3], False, "2 rows recorded, 3 rebuilt"),
    ],
)  # fmt: skip
def test_values_of_a_column(tmp_path: Path, was: list[Any], now: list[Any], equal: bool, words: str) -> None:
    found = of_tables(tmp_path, {"p": was}, {"p": now})
    assert found.equal is equal
    assert found.words[0].startswith(words)


def test_columns_that_are_not_on_both_sides(tmp_path: Path) -> None:
    a, b = pa.array([1, 2]), pa.array([3, 4])
    assert of_tables(tmp_path, {"a": a, "b": b}, {"a": a}).words == ("column b is only in the recorded table",)
    assert of_tables(tmp_path, {"a": a}, {"a": a, "b": b}).words == ("column b is only in the rebuilt table",)
    assert of_tables(tmp_path, {"a": a, "b": b}, {"b": b, "a": a}).words == ("the columns stand in another order",)


def test_a_column_beyond_the_tolerance_is_told_before_those_within(tmp_path: Path) -> None:
    was = {"a": [0.1, 0.2], "b": [0.1, 0.2], "plan": pa.array(["x", "y"]).dictionary_encode()}
    now = {"a": [0.1, 0.2000001], "b": [0.1, 0.3], "plan": pa.array(["x", "y"]).dictionary_encode()}
    found = of_tables(tmp_path, was, now)
    assert not found.equal
    assert found.words[0].startswith("column b: 1 of 2 rows")
    assert found.words[0].endswith("; 1 more column")


def test_metrics_are_told_with_both_numbers(tmp_path: Path) -> None:
    was = {"roc_auc": 0.771763, "brier": 0.039527, "f1": 0.2}
    found = of_json(tmp_path, was, {"roc_auc": 0.771764, "brier": 0.041, "f1": 0.2})
    assert not found.equal
    assert found.words == ("brier 0.039527 recorded, 0.041 rebuilt; roc_auc 0.771763 recorded, 0.771764 rebuilt",)
    assert of_json(tmp_path, was, {**was, "roc_auc": 0.771764}).equal


def test_a_rounding_step_of_a_large_metric_is_still_a_millionth(tmp_path: Path) -> None:
    assert of_json(tmp_path, {"expected_profit": 12345.678901}, {"expected_profit": 12345.678902}).equal
    assert not of_json(tmp_path, {"expected_profit": 12345.678901}, {"expected_profit": 12345.678903}).equal


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        ({"rows": 5}, {"rows": 6}, "rows 5 recorded, 6 rebuilt"),
        ({"rows": 1_000_000_000}, {"rows": 1_000_000_001}, "rows 1000000000 recorded, 1000000001 rebuilt"),
        ({"ok": True}, {"ok": 1}, "ok true recorded, 1 rebuilt"),
        ({"name": "a"}, {"name": "b"}, 'name "a" recorded, "b" rebuilt'),
        ({"a": 1.5}, {"b": 1.5}, "a (1.5) is only in what was recorded; b (1.5) is only in what was rebuilt"),
        ({"a": [1, 2]}, {"a": [1]}, "a[1] (2) is only in what was recorded"),
        ({"blocks": [{"feature": "plan", "rates": [0.1]}]}, {"blocks": [{"feature": "plan", "rates": [0.2]}]},
         "blocks[plan].rates[0] 0.1 recorded, 0.2 rebuilt"),
        ({"v": "1.00"}, {"v": "1.000000001"}, 'v "1.00" recorded, "1.000000001" rebuilt'),
    ],
)  # fmt: skip
def test_documents(tmp_path: Path, was: Any, now: Any, words: str) -> None:
    found = of_json(tmp_path, was, now)
    assert not found.equal
    assert found.words == (words,)


def test_only_a_few_of_many_values_are_told(tmp_path: Path) -> None:
    (line,) = of_json(tmp_path, dict.fromkeys("abcdef", 1), dict.fromkeys("abcdef", 2)).words
    assert line.endswith("d 1 recorded, 2 rebuilt; 2 more values")


@pytest.mark.parametrize(
    ("was", "now", "equal", "words"),
    [
        ("fpr,tpr\n0,0.5\n", "fpr,tpr\n0,0.5000001\n", True, "row 1, tpr: 0.5 recorded, 0.5000001 rebuilt"),
        ("fpr,tpr\n0,0.5\n", "fpr,tpr\n0,0.6\n", False, "row 1, tpr: 0.5 recorded, 0.6 rebuilt"),
        ("id\n007\n", "id\n7\n", False, "row 1, id: 007 recorded, 7 rebuilt"),
        ("id\nA-1\n", "id\nB-1\n", False, "row 1, id: A-1 recorded, B-1 rebuilt"),
        ("id\n1\n", "id\n1\n2\n", False, "1 rows recorded, 2 rebuilt"),
        ("id\n1\n", "key\n1\n", False, "other columns"),
        ("id\n1\n", "id\n1,2\n", False, "row 1: 1 cells recorded, 2 rebuilt"),
        ("id\n1\n", "id\r\n1\r\n", True, "other bytes, the same cells"),
    ],
)
def test_delimited_texts(tmp_path: Path, was: str, now: str, equal: bool, words: str) -> None:
    for name, mark in (("points.csv", ","), ("points.tsv", "\t")):
        found = written(tmp_path, name, *(text.replace(",", mark).encode() for text in (was, now)))
        assert found == Found(equal, (words,))


def test_a_file_that_cannot_be_read_is_different(tmp_path: Path) -> None:
    for name in ("a.json", "a.parquet", "model.onnx", "trees.npy", "a.csv", "manifest.json"):
        found = written(tmp_path, name, b"\xff\x00broken", b"\xfebroken too")
        assert not found.equal, name
        assert "cannot be compared" in found.words[0], name
    assert written(tmp_path, "model.joblib", b"a", b"b") == Found(False, ("other bytes",))


def test_numbers_that_stand_in_texts_count_in_a_booster_only(tmp_path: Path) -> None:
    was, now = {"base_score": "[5.1E-2]"}, {"base_score": "[5.10000001E-2]"}
    assert of_json(tmp_path, was, now, "booster.json").equal
    assert not of_json(tmp_path, was, now, "signature.json").equal
    assert not of_json(tmp_path, {"trees": "140"}, {"trees": "141"}, "booster.json").equal
