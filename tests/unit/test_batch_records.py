"""Blocks end where Arrow's parser ends a record, whatever is inside the quotes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.batch import records
from mlops.errors import TableError

CELL = st.text(alphabet='a",;\n\r é', max_size=6)
RAW = st.text(alphabet='a",\n', max_size=40)


def cut(text: bytes, delimiter: str = ",", block: int = 16, piece: int = 5) -> list[records.Block]:
    patch = pytest.MonkeyPatch()
    with patch.context() as m:
        m.setattr(records, "BLOCK", block)
        pieces = [text[i : i + piece] for i in range(0, len(text), piece)]
        return list(records.blocks(pieces, delimiter, Path("in.csv")))


def parsed(text: bytes, delimiter: str = ",") -> tuple[list[list[str]], list[str]]:
    skipped: list[str] = []

    def skip(row: pacsv.InvalidRow) -> str:
        skipped.append(row.text)
        return "skip"

    table = pacsv.read_csv(
        pa.BufferReader(text or b"\n"),
        pacsv.ReadOptions(column_names=["0", "1"], use_threads=False),
        pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True, invalid_row_handler=skip),
        pacsv.ConvertOptions(column_types=dict.fromkeys("01", pa.string()), strings_can_be_null=False),
    )
    return [list(row.values()) for row in table.to_pylist()], skipped


@settings(max_examples=300)
@given(rows=st.lists(st.tuples(CELL, CELL), max_size=8), delimiter=st.sampled_from(",;"), block=st.integers(1, 30))
def test_what_csv_writers_write_is_cut_between_records(rows: list[tuple[str, str]], delimiter: str, block: int) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, lineterminator="\n").writerows(rows)
    text = written.getvalue().encode()
    found = cut(text, delimiter, block)
    assert b"".join(b.text for b in found).removesuffix(b"\n") == text.removesuffix(b"\n")
    by_block = [row for b in found for row in parsed(b.text, delimiter)[0]]
    assert by_block == parsed(text, delimiter)[0]


@settings(max_examples=500)
@given(text=RAW, block=st.integers(1, 20))
def test_stray_quotes_are_read_as_arrow_reads_them(text: str, block: int) -> None:
    data = text.encode()
    try:
        found = cut(data, block=block)
    except TableError:
        assert '"' in text
        return
    whole = parsed(data)
    parts = [parsed(b.text) for b in found]
    assert [row for rows, _ in parts for row in rows] == whole[0]
    assert [row for _, skipped in parts for row in skipped] == whole[1]


def test_regular_quotes_are_told_from_others() -> None:
    assert all(b.regular for b in cut(b'a,"b ""c"" d"\n"x\ny",2\n'))
    assert not all(b.regular for b in cut(b'17" screen,"b"\n'))
    assert not all(b.regular for b in cut(b'a, "padded"\n'))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_ends_a_record(end: str) -> None:
    text = end.join(["1,a", '2,"b"', "3,c", ""]).encode()
    assert [row for b in cut(text, block=4, piece=4) for row in parsed(b.text)[0]] == [
        ["1", "a"],
        ["2", "b"],
        ["3", "c"],
    ]
    assert len(cut(text, block=4, piece=4)) > 1


def test_an_open_quote_is_refused_rather_than_swallowing_rows() -> None:
    with pytest.raises(TableError, match=r"a quote is never closed.*behind '\"open"):
        cut(b'1,a\n2,"open\n3,b\n4,c\n')


def test_a_record_as_long_as_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "LONGEST", 64)
    with pytest.raises(TableError, match="never closed"):
        cut(b'1,a\n2,"open\n' + b"3,b\n" * 50 + b'4,"c"\n')
