"""Files as people have them: every one of these is read, or refused in one line."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.errors import TableError
from mlops.table.dialect import Told
from mlops.table.read import Sheet, read_files

ADULT = (
    "39, State-gov, 77516, Bachelors, <=50K\n50, Private, 83311, ?, <=50K\n38, Private, 215646, HS-grad, >50K\n" * 10
)
GERMAN = "A11 6 A34 1169 1\nA12 48 A32 5951 2\nA14 12 A34 2096 1\n" * 10
BANK = 'age;"job";"balance";"y"\n' + '30;"unemployed";1787;"no"\n33;"services; other";4789;"yes"\n' * 10
PLAIN = "id,plan,price,churn\n" + "".join(f"{i},{'AB'[i % 2]},{i}.5,{'yes' if i % 3 else 'no'}\n" for i in range(1, 31))


NOTHING = Told()


def sheet(folder: Path, content: str | bytes, told: Told = NOTHING) -> Sheet:
    path = folder / "t.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_files([path], told)[0]


def column(found: Sheet, name: str) -> list[str]:
    return [value.strip() for value in found.columns[name].to_pylist()]


def test_headerless_with_blanks_after_commas(tmp_path: Path) -> None:
    found = sheet(tmp_path, "|1x3 Cross validator\n" + ADULT)
    assert (found.header, found.delimiter, found.rows) == (False, ",", 30)
    assert list(found.columns) == ["c0", "c1", "c2", "c3", "c4"]
    assert column(found, "c4")[:3] == ["<=50K", "<=50K", ">50K"]
    assert [(r.record, r.reason, r.text) for r in found.rejected] == [
        (1, "1 field, expected 5", "|1x3 Cross validator")
    ]


def test_blank_separated(tmp_path: Path) -> None:
    found = sheet(tmp_path, GERMAN)
    assert (found.delimiter, found.header, found.rows, len(found.columns)) == (" ", False, 30, 5)
    assert column(found, "c4")[:2] == ["1", "2"]


def test_blank_separated_with_runs_quotes_and_edges(tmp_path: Path) -> None:
    text = "".join(f'  {i}.0   8 \t 307.{i}  "ford  {i}, big" \n' for i in range(10, 30))
    found = sheet(tmp_path, text)
    assert (found.delimiter, len(found.columns)) == (" ", 4)
    assert column(found, "c3")[0] == "ford  10, big"


def test_semicolon_with_quotes(tmp_path: Path) -> None:
    found = sheet(tmp_path, BANK)
    assert (found.delimiter, found.header, list(found.columns)) == (";", True, ["age", "job", "balance", "y"])
    assert column(found, "job")[1] == "services; other"


@pytest.mark.parametrize("head", ["a;b;c\n", ""])
def test_decimal_comma(tmp_path: Path, head: str) -> None:
    found = sheet(tmp_path, head + "".join(f"{i},5;{i * 2},25;ja\n" for i in range(1, 40)))
    assert (found.delimiter, found.decimal, len(found.columns)) == (";", ",", 3)


@pytest.mark.parametrize(
    "delimiter",
    [",", ";", "\t", "|"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_delimiter_and_line_end(tmp_path: Path, delimiter: str, end: str) -> None:
    found = sheet(tmp_path, PLAIN.replace(",", delimiter).replace("\n", end))
    assert (found.delimiter, found.header, found.rows) == (delimiter, True, 30)
    assert column(found, "churn")[:3] == ["yes", "yes", "no"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_every_encoding(tmp_path: Path, encoding: str) -> None:
    found = sheet(tmp_path, PLAIN.replace("A", "Café").encode(encoding))
    assert found.encoding == encoding
    assert column(found, "plan")[1] == "Café"
    assert any("Windows-1252" in w for w in found.warnings) == (encoding == "cp1252")


def test_bytes_that_windows_1252_lacks(tmp_path: Path) -> None:
    assert sheet(tmp_path, PLAIN.encode().replace(b"A", b"\x81\xe9")).encoding == "latin-1"


def test_compressed(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("t.csv", PLAIN)
    data = PLAIN.encode()
    zstd = pa.Codec("zstd").compress(data, asbytes=True)
    for content in (gzip.compress(data), bz2.compress(data), lzma.compress(data), packed.getvalue(), zstd):
        assert sheet(tmp_path, content).rows == 30


def test_quoted_line_breaks_are_values_and_said(tmp_path: Path) -> None:
    text = "who,note,y\n" + 'a,"two\nlines, and ""quotes""",1\nb,plain,0\n' * 5
    found = sheet(tmp_path, text)
    assert found.rows == 10
    assert column(found, "note")[0] == 'two\nlines, and "quotes"'
    assert found.warnings == ["t.csv: note has 5 values with line breaks; if that is wrong, mend its quotes"]


def test_blanks_before_quotes(tmp_path: Path) -> None:
    found = sheet(tmp_path, 'a, "b", c\n' + '1, "x, y", "said, ""no""" \n' * 5)
    assert list(found.columns) == ["a", "b", "c"]
    assert column(found, "b")[0] == "x, y"
    assert column(found, "c")[0] == 'said, "no"'


def test_ragged_records_are_kept_apart_with_their_numbers(tmp_path: Path) -> None:
    lines = PLAIN.splitlines()
    lines[3] += ",extra"
    lines[10] = "9,A"
    found = sheet(tmp_path, "# exported from somewhere\n" + "\n\n".join(lines) + "\n")
    assert found.rows == 28
    assert [(r.record, r.reason, r.text) for r in found.rejected] == [
        (0, "1 field before the header", "# exported from somewhere"),
        (3, "5 fields, expected 4", "3,B,3.5,no,extra"),
        (10, "2 fields, expected 4", "9,A"),
    ]
    assert "3 records are no row" in found.warnings[0]


def test_trailing_delimiter(tmp_path: Path) -> None:
    for text in (PLAIN.replace("\n", ",\n"), PLAIN.replace("\n", ",\n").replace("churn,\n", "churn\n")):
        found = sheet(tmp_path, text)
        assert list(found.columns) == ["id", "plan", "price", "churn"]
        assert found.warnings == ["t.csv: each line ends with a delimiter; the empty last column is left out"]
        assert column(found, "churn")[0] == "yes"


def test_a_value_in_the_dropped_last_column_is_a_rejected_record(tmp_path: Path) -> None:
    body = PLAIN.replace("\n", ",\n")
    many = body + "".join(f"{i},A,1.5,no,\n" for i in range(2000)) + "77,A,1.5,no,surprise\n"
    found = sheet(tmp_path, many)
    assert found.rows == 2030
    assert [(r.record, r.reason) for r in found.rejected] == [(2031, "5 fields, expected 4")]


def test_a_header_without_a_name_for_the_row_numbers(tmp_path: Path) -> None:
    found = sheet(tmp_path, "price plan y\n" + "".join(f'"{i}" {i}.5 basic no\n' for i in range(1, 20)))
    assert list(found.columns) == ["c0", "price", "plan", "y"]


def test_names_made_usable(tmp_path: Path) -> None:
    found = sheet(tmp_path, " a ,b,b,,__key,y\n" + "1,2,3,4,5,no\n2,3,4,5,6,yes\n" * 4)
    assert list(found.columns) == ["a", "b", "b.1", "c3", "key", "y"]
    assert len(found.warnings) == 2


def test_header_of_words_over_words(tmp_path: Path) -> None:
    body = "red,small,yes\nblue,large,no\ngreen,small,yes\n" * 5
    assert sheet(tmp_path, "colour,size,left\n" + body).header
    assert not sheet(tmp_path, body).header
    assert not sheet(tmp_path, body, Told(header=False)).header
    assert sheet(tmp_path, body, Told(target="yes")).header


def test_open_quote_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="never closed"):
        sheet(tmp_path, PLAIN + '31,"A,1.5,no\n32,A,1.5,no\n33,A,1.5,no\n')


def test_an_open_quote_in_a_record_of_the_wrong_width(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="never closed"):
        sheet(tmp_path, PLAIN + '31,A,1.5,no,"more\n32,A,1.5,no\n')
    closed = sheet(tmp_path, PLAIN + '31,"A\nB",1.5,no,more\n')
    assert closed.rejected[-1].record == 31
    assert closed.rejected[-1].reason == "5 fields, expected 4, over 2 lines: is a quote missing?"
    assert sheet(tmp_path, PLAIN + '31,a 5" pipe\n').rejected[-1].reason == "2 fields, expected 4"


def test_a_very_long_value(tmp_path: Path) -> None:
    found = sheet(tmp_path, PLAIN + f"31,{'x' * 5_000_000},1.5,no\n")
    assert len(column(found, "plan")[-1]) == 5_000_000


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"  \n \n", "nothing but blanks"),
        (b"%PDF-1.7 ...", "a PDF"),
        (b"<!DOCTYPE html><html></html>", "a web page"),
        (b'{"a": [1, 2]}', "JSON"),
        (b'[\n  {"a": 1}\n]', "JSON"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "Excel"),
        (b"a\0b\0\0\0\1\2\0\0\0\3", "binary"),
        (b"\x1f\x8b\x08broken", "damaged compressed"),
        (b"PAR1 nothing PAR1", "damaged or unknown Parquet"),
        (b"only\none\ncolumn\n", "is no table"),
        (b"a,b,c\n", "no rows below its header"),
    ],
)
def test_no_table(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(TableError, match=message) as caught:
        sheet(tmp_path, content, Told(header=True) if message.startswith("no rows") else Told())
    assert "\n" not in str(caught.value)


def test_archives_that_are_no_table(tmp_path: Path) -> None:
    for names, message in ((["a.csv", "b.csv"], "zip of 2 files"), (["[Content_Types].xml", "xl/x.xml"], "Excel")):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for name in names:
                archive.writestr(name, PLAIN)
        with pytest.raises(TableError, match=message):
            sheet(tmp_path, packed.getvalue())


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "telco.csv").write_text(PLAIN)
    with pytest.raises(TableError, match="is a folder"):
        read_files([tmp_path], Told())
    with pytest.raises(TableError, match=r"does not exist; did you mean .*/telco\.csv\?"):
        read_files([tmp_path / "telko.csv"], Told())


def test_each_file_has_its_own_delimiter_and_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(PLAIN)
    (tmp_path / "b.csv").write_bytes(PLAIN.replace(",", ";").replace("A", "é").encode("utf-16"))
    first, second = read_files([tmp_path / "a.csv", tmp_path / "b.csv"], Told(encoding="utf-8", delimiter=","))
    assert (first.delimiter, second.delimiter, second.encoding) == (",", ";", "utf-16")
    assert first.rows == second.rows == 30


def test_a_later_file_is_not_forced_into_the_first_ones_ways(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(PLAIN.replace("A", "é").encode("cp1252"))
    (tmp_path / "b.csv").write_bytes(PLAIN.replace("A", "é").encode())
    (tmp_path / "c.csv").write_bytes(PLAIN.replace("A", "é").encode("utf-16"))
    encodings = {"a.csv": "cp1252", "b.csv": "utf-8", "c.csv": "utf-16"}
    for names in (("a.csv", "b.csv", "c.csv"), ("c.csv", "b.csv", "a.csv"), ("b.csv", "a.csv", "c.csv")):
        for told in (Told(), Told(encoding=encodings[names[0]], delimiter=",")):
            found = read_files([tmp_path / name for name in names], told)
            assert [column(each, "plan")[1] for each in found] == ["é"] * 3
    body = "".join(f"{i},5;{i * 2},25;x, y\n" for i in range(1, 40))
    (tmp_path / "d.csv").write_text("a,b,c\n" + "".join(f'"{i},5","{i},25",x\n' for i in range(1, 40)))
    (tmp_path / "e.csv").write_text("a;b;c\n" + body)
    assert [f.delimiter for f in read_files([tmp_path / "d.csv", tmp_path / "e.csv"], Told())] == [",", ";"]


def test_parquet_of_many_types(tmp_path: Path) -> None:
    import datetime as dt
    import decimal

    table = pa.table({
        "big": pa.array(["a", None], pa.large_string()),
        "coded": pa.array(["x", "y"]).dictionary_encode(),
        "money": pa.array([decimal.Decimal("1.50"), None]),
        "on": pa.array([dt.date(2025, 1, 1), None]),
        "nested": pa.array([[1], [2]]),
        "flag": pa.array([True, None]),
        "__index_level_0__": pa.array([0, 1]),
    })  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")
    (found,) = read_files([tmp_path / "t.parquet"], Told())
    assert {n: str(c.type) for n, c in found.columns.items()} == {
        "big": "string", "coded": "string", "money": "double", "on": "date32[day]", "flag": "bool", "c6": "int64",
    }  # fmt: skip
    assert found.warnings == ["t.parquet: nested holds list<element: int64>, which is no plain value; it is left out"]
    (tmp_path / "t.csv").write_text(PLAIN)
    with pytest.raises(TableError, match="write all files of a table in one of the two"):
        read_files([tmp_path / "t.parquet", tmp_path / "t.csv"], Told())


words = st.text(st.characters(codec="utf-8", exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)


@settings(deadline=None)
@given(st.lists(st.tuples(words, words, words), min_size=1, max_size=20), st.sampled_from([",", ";", "\t", "|"]))
def test_what_csv_writes_is_read_back(tmp_path_factory: pytest.TempPathFactory, rows: list, delimiter: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(["first", "second", "third"])
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "t.csv"
    path.write_bytes(text.getvalue().encode())
    told = Told(header=True, encoding="utf-8", delimiter=delimiter)
    (found,) = read_files([path], told)
    assert list(zip(*(c.to_pylist() for c in found.columns.values()), strict=True)) == rows
    assert not found.rejected
