"""A commit in an empty folder, and its pipeline run there: nothing of this repository's results is within its reach.

Its own home, DVC cache, run cache and site cache, all empty; Git's and DVC's settings of this machine do not count.
What no stage makes and Git does not hold, a user's own table, is brought by the digest in its .dvc file.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mlops.errors import GitError, MlopsError, StoreError
from mlops.git import Git
from mlops.store.lock import Lock, pointer
from mlops.store.objects import Store

LOGS = Path(".dvc/tmp/verify")
SHA1 = 40
"""Digits of a commit's hash, in a repository that DVC can read."""
DROPPED = ("DVC_", "GIT_", "MLOPS_", "PYTHON", "VIRTUAL_ENV", "XDG_")
"""Beginnings of variables that could lead a stage out of its folder."""
INSTALL = Path(".ci/install")
RUNNING = re.compile(r"Running stage '(.+)':")
FAILED = re.compile(r"ERROR: failed to reproduce '(.+?)'")

Say = Callable[[str], None]


class NotRebuiltError(Exception):
    """Why a commit cannot be rebuilt. The caller makes a verdict of it."""


def clone(git: Git, commit: str, folder: Path) -> None:
    """Check a commit out into a new folder: any commit, also one that no branch or tag names.

    Raises:
        MlopsError: there is something in the folder already.
        NotRebuiltError: Git does not have all of the commit, or the repository's hashes are SHA-256.
    """
    if len(commit) != SHA1:
        raise NotRebuiltError("the repository has SHA-256 objects (`git init --object-format`), which is not supported")
    if folder.exists() and any(folder.iterdir()):
        raise MlopsError(f"{folder} is not empty; name a folder that does not exist yet")
    folder.mkdir(parents=True, exist_ok=True)
    fresh = Git(folder)
    try:
        fresh.raw("init", "--quiet", "--template=")
        # Version 2 of the protocol gives any commit that is named by its hash.
        source = str(git.folder.resolve())
        fresh.raw("-c", "protocol.version=2", "fetch", "--quiet", "--depth=1", "--no-tags", source, commit)
        # The bytes that were committed, and nobody's hooks: settings of this machine must not count.
        plain = ("-c", "core.autocrlf=false", "-c", f"core.hooksPath={os.devnull}")
        fresh.raw(*plain, "checkout", "--quiet", "--detach", commit)
    except GitError as error:
        raise NotRebuiltError(f"{error}") from error


def bring_data(git: Git, store: Store, lock: Lock, folder: Path) -> None:
    """Put what stages read and .dvc files name, a user's own table, into place.

    Raises:
        NotRebuiltError: it is neither in the cache nor in remote storage.
    """
    pointed = {path.removesuffix(".dvc") for path in git.files(lock.commit) if path.endswith(".dvc")}
    read = {dep.path for stage in lock.stages.values() for dep in stage.deps}
    for path in sorted(pointed & {str(p) for dep in read for p in (Path(dep), *Path(dep).parents)}):
        try:
            out = pointer(git, lock.commit, path)
            if out is not None:
                store.copy(out, folder / path)
        except StoreError as error:
            raise NotRebuiltError(f"{path} cannot be had: {error}") from error


def install(folder: Path, log: Path) -> Path:
    """An environment of the commit's own lock, made by its own script; returns its interpreter.

    Raises:
        NotRebuiltError: the commit has no such script, or it failed.
    """
    if not (folder / INSTALL).exists():
        raise NotRebuiltError(f"the commit has no {INSTALL}, which installs its packages; verify without --install")
    environment = {"PYTHON": sys.executable, **os.environ}
    _run([f"./{INSTALL}", ".venv", "requirements.txt"], folder, environment, log)
    return folder / ".venv" / "bin" / "python"


def run(folder: Path, python: Path, home: Path, log: Path, say: Say) -> None:
    """Run all stages, whatever dvc.lock says of them.

    Args:
        folder: the commit's working tree.
        python: the interpreter; its folder comes first on PATH.
        home: a new folder for everything that programs keep outside of the working tree.
        log: gets what DVC and the stages print.
        say: told each stage that begins.

    Raises:
        NotRebuiltError: a stage failed: which, its last words, where the log is.
    """
    home.mkdir(parents=True, exist_ok=True)
    # The commit's own settings may name a cache that others share: its results must not be within reach.
    (folder / ".dvc" / "config.local").write_text("[cache]\n    dir = cache\n", encoding="utf-8")
    # --no-commit: nobody needs a second copy of what the folder holds.
    words = [str(python), "-m", "dvc", "repro", "--force", "--no-commit", "dvc.yaml"]
    _run(words, folder, _alone(python, home), log, say)


def _alone(python: Path, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(DROPPED)}
    settings = {name: str(home / name.lower()) for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR")}
    return {
        **kept,
        **settings,
        "HOME": str(home),
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
        "DVC_NO_ANALYTICS": "1",
        "DVC_SITE_CACHE_DIR": str(home / "site"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PYTHONUNBUFFERED": "1",
    }


def _run(words: Sequence[str], folder: Path, env: Mapping[str, str], log: Path, say: Say = lambda _: None) -> None:
    """Run a program and keep what it prints in the log."""
    last: list[str] = []
    with log.open("a", encoding="utf-8") as file:
        try:
            done = subprocess.Popen(
                words, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, encoding="utf-8", errors="replace",
            )  # fmt: skip
        except OSError as error:
            raise NotRebuiltError(f"{words[0]} cannot be run ({error.strerror})") from error
        with done:
            for line in done.stdout or ():
                file.write(line)
                last = [*last[-199:], line.strip()]
                if started := RUNNING.match(line):
                    say(f"stage {started[1]}")
    if done.returncode:
        raise NotRebuiltError(_why(last, Path(words[0]).name, done.returncode))


def _why(last: Sequence[str], program: str, code: int) -> str:
    """Which stage failed and the last words before DVC's own."""
    told = [line for line in last if line]
    for place, line in enumerate(told):
        if failed := FAILED.match(line):
            words = [w for w in told[:place] if not w.startswith(("> ", "Running stage"))]
            return f"stage {failed[1]} failed: {words[-1] if words else line}"
    return f"{program} failed: {told[-1] if told else f'exit code {code}'}"


def keep_log(log: Path, git: Git, commit: str) -> Path:
    """Move a log to where it survives the rebuild; returns the place."""
    place = git.folder / LOGS / f"{commit[:12]}.log"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(log, place)
    return place
