"""The names that DVC gives to contents: md5 of a file, md5 of a folder's list of files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path


def of_bytes(content: bytes) -> str:
    """The md5 of a content. It guards against accidents, not against attackers."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def of_file(path: Path) -> str:
    """The md5 of a file's content, of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def of_folder(files: Mapping[str, str]) -> str:
    """The name of a folder: the md5 of its list as DVC writes it, with .dir.

    Args:
        files: path inside the folder, with / → md5.
    """
    listed = [{"md5": files[path], "relpath": path} for path in sorted(files)]
    return f"{of_bytes(json.dumps(listed).encode())}.dir"
