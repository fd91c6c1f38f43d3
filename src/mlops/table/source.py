"""The bytes of one file: unpacked, as UTF-8, with a digest; or one line that says what it is instead of a table."""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import io
import lzma
import mmap
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from mlops.errors import TableError, nearest

Bytes = bytes | mmap.mmap
STEP = 1 << 20

UNPACKERS: dict[bytes, Callable[[bytes], bytes]] = {
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ\x00": lzma.decompress,
    b"\x28\xb5\x2f\xfd": lambda data: pa.input_stream(pa.BufferReader(data), compression="zstd").read(),
}

FOREIGN = {
    b"%PDF": "a PDF; export the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook; save the sheet as CSV (UTF-8)",
    b"SQLite format 3": "an SQLite database; export the table as CSV or Parquet",
    b"ARROW1": "an Arrow/Feather file; write it as Parquet",
    b"\x89HDF": "an HDF5 file; write the table as CSV or Parquet",
    b"\x93NUMPY": "a NumPy array; write it as CSV or Parquet with column names",
    b"\x80\x04": "a Python pickle; write the table as CSV or Parquet",
    b"\x80\x05": "a Python pickle; write the table as CSV or Parquet",
    b"7z\xbc\xaf": "a 7z archive; unpack it first",
    b"{\\rtf": "a rich-text document; export the table as CSV",
}


@dataclass(frozen=True)
class Source:
    """One file: its text as UTF-8 bytes (or the Parquet file's own bytes), how it was encoded, and its digest."""

    path: Path
    data: Bytes
    parquet: bool
    encoding: str
    sha256: str
    warnings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The file's name, as messages and metadata show it."""
        return self.path.name


def open_source(path: Path, encoding: str | None = None) -> Source:
    """Read a file whole (uncompressed UTF-8 and Parquet are mapped, not copied).

    encoding: what a text is that has no byte order mark and is no UTF-8; without it Windows-1252, then Latin-1.

    Raises:
        TableError: missing, unreadable, empty, a folder, or no table; the message says which and what to do.
    """
    data = mapped(path)
    digest = hashlib.sha256(data).hexdigest()
    if data[:4] == b"PAR1":
        return Source(path, data, True, "utf-8", digest)
    data = _unpacked(path, data)
    if data[:4] == b"PAR1":
        return Source(path, data, True, "utf-8", digest)
    text, found, warnings = _as_utf8(path, data, encoding)
    refuse_foreign(path, text[:4096])
    if not bytes(text[:STEP]).strip() and not bytes(text).strip():
        raise TableError(f"{path} holds nothing but blanks; give a CSV or Parquet file with rows")
    return Source(path, text, False, found, digest, warnings)


def mapped(path: Path) -> Bytes:
    """A file's bytes without reading them into memory.

    Raises:
        TableError: it is no file that can be read.
    """
    try:
        if path.is_dir():
            raise TableError(f"{path} is a folder; name the files in it, such as {path}/*.csv")
        with path.open("rb") as file:
            if not file.seek(0, io.SEEK_END):
                raise TableError(f"{path} is empty; give a CSV or Parquet file with rows")
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except FileNotFoundError:
        if path.with_name(path.name + ".dvc").exists():
            raise TableError(f"{path} is not here, only its .dvc file; fetch it with `dvc pull {path}.dvc`") from None
        raise TableError(f"{path} does not exist{_similar(path)}") from None
    except (OSError, ValueError) as error:
        raise TableError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _similar(path: Path) -> str:
    folder = path.parent
    names = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []
    hint = nearest(path.name, names)
    return hint.replace("did you mean ", f"did you mean {folder}/") if hint else "; check the path"


def _unpacked(path: Path, data: Bytes) -> Bytes:
    head = bytes(data[:16])
    if head.startswith(b"PK\x03\x04"):
        return _from_zip(path, data)
    for magic, unpack in UNPACKERS.items():
        if head.startswith(magic):
            try:
                plain = unpack(bytes(data))
            except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
                raise TableError(f"{path} is a damaged compressed file ({error}); get it again") from None
            if not plain:
                raise TableError(f"{path} unpacks to nothing; give a file with rows")
            return plain
    return data


def _from_zip(path: Path, data: Bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(bytes(data))) as archive:
            members = [m for m in archive.namelist() if not m.endswith("/") and not m.startswith("__MACOSX/")]
            if "[Content_Types].xml" in members or "mimetype" in members:
                raise TableError(f"{path} is an Excel or office document; save the sheet as CSV (UTF-8)")
            if len(members) != 1:
                raise TableError(f"{path} is a zip of {len(members)} files; unpack it and name the tables in it")
            return archive.read(members[0])
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, zlib.error) as error:
        raise TableError(f"{path} is a zip that cannot be unpacked ({error}); unpack it yourself") from None


def refuse_foreign(path: Path, head: bytes) -> None:
    """Raise when the first bytes are those of something that is no table."""
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            raise TableError(f"{path} is {what}")
    start = head.lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        raise TableError(f"{path} is a web page or XML, not a table; download the file itself, or export it as CSV")
    if start.startswith(b"{") or b"".join(start.split()).startswith((b"[{", b"[[")):
        raise TableError(f"{path} is JSON, not a table; write it as CSV or Parquet")
    if start.startswith(b"@relation"):
        raise TableError(f"{path} is an ARFF file; delete its @ lines and save the rest as CSV")
    if b"\0" in head:
        raise TableError(f"{path} is a binary file, not a table; give CSV or Parquet")


def _as_utf8(path: Path, data: Bytes, told: str | None) -> tuple[Bytes, str, tuple[str, ...]]:
    """The text as UTF-8, the encoding it was in, and what a person should know about that."""
    encoding = marked(bytes(data[:4096]))
    if encoding is not None:
        return _recoded(path, data, encoding), encoding, ()
    for magic, what in FOREIGN.items():
        if bytes(data[:16]).startswith(magic):
            raise TableError(f"{path} is {what}")
    if data.find(b"\0") >= 0:
        raise TableError(f"{path} is a binary file, not a table; give CSV or Parquet")
    if _decodes(data, "utf-8"):
        return data, "utf-8", ()
    if told is not None and not told.startswith("utf") and _decodes(data, told):
        return _recoded(path, data, told), told, ()
    found = "cp1252" if _decodes(data, "cp1252") else "latin-1"
    shown = {"cp1252": "Windows-1252", "latin-1": "Latin-1"}[found]
    warning = f"{path.name} is not UTF-8: read as {shown}; check its accented letters"
    return _recoded(path, data, found), found, (warning,)


def marked(head: bytes) -> str | None:
    """The encoding that a byte order mark, or every second byte being 0, gives away."""
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(head) >= 4 and head[1::2].count(0) > 0.4 * len(head) and not head[0::2].count(0):
        return "utf-16-le"
    if len(head) >= 4 and head[0::2].count(0) > 0.4 * len(head) and not head[1::2].count(0):
        return "utf-16-be"
    return None


def _decodes(data: Bytes, encoding: str) -> bool:
    try:
        decoder = codecs.getincrementaldecoder(encoding)()
        for start in range(0, len(data), STEP):
            decoder.decode(data[start : start + STEP])
        decoder.decode(b"", final=True)
    except (UnicodeError, LookupError):
        return False
    return True


def _recoded(path: Path, data: Bytes, encoding: str) -> bytes:
    try:
        return bytes(data).decode(encoding).encode("utf-8")
    except UnicodeError as error:
        raise TableError(f"{path} starts like {encoding} but is not ({error}); save it as UTF-8") from None
