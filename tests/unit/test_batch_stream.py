"""Texts as a stream: every packing and encoding that a training table may have gives the same UTF-8."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from mlops.batch import stream
from mlops.batch.stream import Stream
from mlops.errors import TableError

TEXT = "id,name\n" + "".join(f"{i},Zoë Müller\n" for i in range(400))


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as packed:
        packed.write(data)
    return bytes(sink.getvalue())


def read(path: Path) -> tuple[bytes, list[str]]:
    opened = Stream(path)
    try:
        text = b"".join(opened)
        assert 0.9 < opened.share_read <= 1  # a zip ends with its table of contents
        return text, opened.warnings
    finally:
        opened.close()


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STEP", 7)  # cuts letters of two bytes and of four apart


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress, zstd])
def test_packed_files(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(pack(TEXT.encode()))
    assert read(path) == (TEXT.encode(), [])


def test_two_gzips_behind_each_other_are_one_text(tmp_path: Path) -> None:
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n") + gzip.compress(b"1,2\n"))
    assert read(path)[0] == b"a,b\n1,2\n"


def test_a_zip_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "in.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("in.csv", TEXT.encode())
    assert read(path)[0] == TEXT.encode()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("more.csv", TEXT.encode())
    with pytest.raises(TableError, match="a zip of 2 files"):
        read(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("[Content_Types].xml", "")
    with pytest.raises(TableError, match="Excel or office document"):
        read(path)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-8"])
def test_encodings_that_name_themselves(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes((TEXT + "9,😀\n").encode(encoding))
    assert read(path) == ((TEXT + "9,😀\n").encode(), [])


def test_what_is_no_utf_8_is_windows_1252(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "STEP", 64)
    path = tmp_path / "in.csv"
    path.write_bytes(("plain,ascii\n" * 40 + TEXT + "9,12 €\n").encode("cp1252"))
    text, warnings = read(path)
    assert text.decode() == "plain,ascii\n" * 40 + TEXT + "9,12 €\n"
    assert warnings == ["in.csv is not UTF-8: read as Windows-1252; check its accented letters"]


@pytest.mark.parametrize("tail", [b"caf\xe9,1\n", b"caf\xc3"])
def test_two_encodings_in_one_file_are_refused(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(TEXT.encode() + tail)
    with pytest.raises(TableError, match="UTF-8 at first, but no more"):
        read(path)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress, zstd])
def test_a_damaged_packed_file_is_refused(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(pack(TEXT.encode())[:-9])
    with pytest.raises(TableError, match="a damaged compressed file"):
        read(path)


def test_something_else_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes(gzip.compress(b"%PDF-1.7 and so on"))
    with pytest.raises(TableError, match="is a PDF"):
        read(path)
