"""New files and folders into DVC's cache, as `dvc add` would put them there, without DVC and without a working tree."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from uuid import uuid4

from mlops.store import digest
from mlops.store.lock import Out

Content = bytes | Path


def file(cache: Path, path: str, content: Content) -> Out:
    """Keep a file.

    Args:
        cache: DVC's (`mlops.store.settings`).
        path: what it is called in the repository.
        content: bytes, or a file to copy.
    """
    md5 = digest.of_bytes(content) if isinstance(content, bytes) else digest.of_file(content)
    size = len(content) if isinstance(content, bytes) else content.stat().st_size
    _put(cache, md5, content)
    return Out(path, md5, size, None)


def folder(cache: Path, path: str, files: Mapping[str, Content]) -> Out:
    """Keep a folder: every file of it, then the list of them. files: path inside the folder, with / → content."""
    return listed(cache, path, {name: file(cache, name, content) for name, content in files.items()})


def listed(cache: Path, path: str, files: Mapping[str, Out]) -> Out:
    """Keep the list of a folder whose files are kept already. files: path inside the folder, with / → what it is."""
    md5s = {name: out.md5 for name, out in files.items()}
    entries = [{"md5": md5s[name], "relpath": name} for name in sorted(md5s)]
    md5 = digest.of_folder(md5s)
    _put(cache, md5, json.dumps(entries).encode())
    return Out(path, md5, sum(out.size for out in files.values()), len(files))


def pointer(out: Out) -> bytes:
    """The .dvc file of what is kept, as `dvc add` writes it."""
    lines = ["outs:", f"- md5: {out.md5}", f"  size: {out.size}"]
    if out.folder:
        lines.append(f"  nfiles: {out.nfiles}")
    lines += ["  hash: md5", f"  path: {json.dumps(Path(out.path).name, ensure_ascii=False)}", ""]
    return "\n".join(lines).encode()


def _put(cache: Path, md5: str, content: Content) -> None:
    """Make the object appear, whole or not at all; one that is there already is left alone."""
    place = cache / "files" / "md5" / md5[:2] / md5[2:]
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.{uuid4().hex[:8]}.new")
    try:
        if isinstance(content, bytes):
            fresh.write_bytes(content)
        else:
            shutil.copyfile(content, fresh)
        fresh.chmod(0o444)  # by this DVC knows that an object was verified
        os.replace(fresh, place)
    finally:
        fresh.unlink(missing_ok=True)
