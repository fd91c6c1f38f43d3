"""A delimited text as a stream: unpacked and as UTF-8, a piece at a time, whatever the file's size.

`mlops.table.source` reads a training table whole; a file to be scored may be larger than memory. What the two take is
the same: plain, gzip, bzip2, xz, zstd or a zip of one file; UTF-8, UTF-16 and UTF-32 with their mark, Windows-1252.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from mlops.errors import TableError
from mlops.table import source

STEP = 1 << 20
MAGIC = 16

DAMAGED = (EOFError, OSError, RuntimeError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, pa.ArrowException)
"""What the unpackers raise; an OSError with a number is the file system's."""


class Stream:
    """The text of one file. warnings: what a person should know about its encoding, complete when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._raw: IO[bytes] = path.open("rb")
        self._size = path.stat().st_size

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    @property
    def share_read(self) -> float:
        """How much of the file has been read, 0 to 1."""
        return 1.0 if self._raw.closed else self._raw.tell() / self._size

    def __iter__(self) -> Iterator[bytes]:
        """Pieces of UTF-8 text; a character is never cut.

        Raises:
            TableError: the file is damaged, of another format, or not in one encoding.
        """
        pieces = self._pieces()
        first = next(pieces, b"")
        encoding = source.marked(first[:4096])
        if encoding is None:
            source.refuse_foreign(self.path, first[:4096])
            yield from self._unmarked(first, pieces)
            return
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            yield decoder.decode(first).encode()
            for piece in pieces:
                yield decoder.decode(piece).encode()
            yield decoder.decode(b"", final=True).encode()
        except UnicodeError as error:
            raise TableError(f"{self.path} starts like {encoding} but is not ({error}); save it as UTF-8") from error

    def _unmarked(self, first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
        """UTF-8, unless the first letters beyond ASCII are none: then Windows-1252, as a whole file is read too."""
        decoder: codecs.IncrementalDecoder | None = None
        read = 0
        try:
            for piece in chain((first,), pieces):
                if decoder is None and not piece.isascii():
                    decoder = self._decoder(piece)
                yield piece if decoder is None else decoder.decode(piece).encode()
                read += len(piece)
            if decoder is not None:
                yield decoder.decode(b"", final=True).encode()
        except UnicodeDecodeError:
            raise TableError(
                f"{self.path} is UTF-8 at first, but no more {read / STEP:.0f} MiB below; save it as UTF-8"
            ) from None

    def _decoder(self, piece: bytes) -> codecs.IncrementalDecoder:
        decoder = codecs.getincrementaldecoder("utf-8")
        try:
            decoder().decode(piece)  # a character cut at its end is no error
        except UnicodeDecodeError:
            self.warnings.append(f"{self.path.name} is not UTF-8: read as Windows-1252; check its accented letters")
            return codecs.getincrementaldecoder("cp1252")("replace")
        return decoder()

    def _pieces(self) -> Iterator[bytes]:
        try:
            with _unpacked(self.path, self._raw) as file:
                while piece := file.read(STEP):
                    yield piece
        except DAMAGED as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise TableError(f"{self.path} is a damaged compressed file ({error}); get it again") from error


def _unpacked(path: Path, raw: IO[bytes]) -> AbstractContextManager[Any]:
    head = raw.read(MAGIC)
    raw.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=raw)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(raw)
    if head.startswith(b"\xfd7zXZ\x00"):
        return lzma.LZMAFile(raw)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        opened: AbstractContextManager[Any] = pa.input_stream(raw, compression="zstd")
        return opened
    if head.startswith(b"PK\x03\x04"):
        return _from_zip(path, zipfile.ZipFile(raw))
    return nullcontext(raw)


def _from_zip(path: Path, archive: zipfile.ZipFile) -> IO[bytes]:
    members = [m for m in archive.namelist() if not m.endswith("/") and not m.startswith("__MACOSX/")]
    if "[Content_Types].xml" in members or "mimetype" in members:
        raise TableError(f"{path} is an Excel or office document; save the sheet as CSV (UTF-8)")
    if len(members) != 1:
        raise TableError(f"{path} is a zip of {len(members)} files; unpack it and name the table in it")
    return archive.open(members[0])
