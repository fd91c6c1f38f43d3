"""The folder that the workers of one server share."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import stat
import tempfile
from pathlib import Path

from api.metrics import process
from api.metrics.merge import locked, names
from mlops.errors import MlopsError

SERVER = "server"
"""The file that says when the server of the folder began: its process id alone may be another server's by now."""


def run_folder(settings_value: str | None) -> Path:
    """Where this server's workers keep their metrics: the folder asked for, or one named after the server's process.

    Made when it is not there, for this user alone. A folder that was asked for is never emptied: its counts go on after
    a restart, and two servers that are given the same one are counted as one. Of the others, those whose server and
    workers are gone are removed.

    Raises:
        MlopsError: the folder is another user's, or cannot be written to.
    """
    if settings_value:
        return _usable(Path(settings_value).absolute())
    try:
        root = _usable(Path(tempfile.gettempdir()) / f"mlops-api-{os.getuid()}", private=True)
    except FileNotFoundError as error:
        raise MlopsError("there is no folder for temporary files; set MLOPS_RUN_DIR to a folder for metrics") from error
    parent = multiprocessing.parent_process()
    server = os.getpid() if parent is None or parent.pid is None else parent.pid
    with locked(root, wait=True):
        for folder in root.iterdir():
            if folder.name.isdecimal() and _abandoned(folder, server):
                shutil.rmtree(folder, ignore_errors=True)
        folder = _usable(root / str(server), private=True)
        (folder / SERVER).write_text(str(process.start_of(server)), encoding="ascii")
    return folder


def _abandoned(folder: Path, server: int) -> bool:
    """Whether nobody counts there any more. One named as ours that another server left is, whoever counts there."""
    try:
        start = int((folder / SERVER).read_text(encoding="ascii"))
    except (OSError, ValueError):  # killed while it made the folder
        start = -1
    if int(folder.name) == server:
        return start != process.start_of(server)
    return not process.alive(int(folder.name), start) and not any(name.alive() for name in names(folder))


def _usable(folder: Path, *, private: bool = False) -> Path:
    """The folder, made if need be. private: its place is known to other users, who must not have made it."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat() if private else folder.stat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
            raise MlopsError(f"{folder} belongs to another user; set MLOPS_RUN_DIR to a folder of your own")
        if private:
            folder.chmod(0o700)
    except OSError as error:
        raise MlopsError(
            f"{folder}: metrics cannot be kept there ({error.strerror}); set MLOPS_RUN_DIR to a folder of your own"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise MlopsError(f"{folder} cannot be written to; set MLOPS_RUN_DIR to a folder of your own")
    return folder
