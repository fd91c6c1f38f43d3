"""Git as this project uses it: one repository, plain commands, their complaints as one line.

What a commit holds is read from Git's objects, never from the working tree: so the same words answer for HEAD, for a
tag of last year, and for an experiment that no branch knows.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mlops.errors import GitError, one_line

QUIET = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C.UTF-8"}
"""Nobody is there to type a password, a look takes no lock, and messages that we read stay in English."""


ELSEWHERE = frozenset(
    f"GIT_{name}"
    for name in (
        "DIR", "WORK_TREE", "INDEX_FILE", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES", "COMMON_DIR", "NAMESPACE",
        "PREFIX", "GRAFT_FILE", "SHALLOW_FILE", "REPLACE_REF_BASE", "NO_REPLACE_OBJECTS", "IMPLICIT_WORK_TREE",
        "CONFIG",
    )
)  # fmt: skip
"""What Git sets while a hook runs, or somebody for another command: it would lead ours into that repository."""


def surroundings() -> dict[str, str]:
    """The environment that git is started in: which repository is meant is said by its folder alone."""
    return {**{k: v for k, v in os.environ.items() if k not in ELSEWHERE}, **QUIET}


class Git:
    """A repository, with or without a working tree.

    Args:
        folder: any folder of the working tree, or a bare repository.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def raw(self, *words: str, given: bytes | None = None, env: Mapping[str, str] | None = None) -> bytes:
        """What `git WORDS` prints.

        Raises:
            GitError: git refused; its own last words.
        """
        done = self.attempt(*words, given=given, env=env)
        if done.returncode:
            raise GitError(f"`git {shown(words)}` failed: {reason(done.stderr)}")
        return done.stdout

    def attempt(
        self, *words: str, given: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run `git WORDS`, whatever its exit code."""
        command = ["git", "-C", str(self.folder), *words]
        try:
            return subprocess.run(
                command, input=given, stdin=None if given is not None else subprocess.DEVNULL,
                capture_output=True, env={**surroundings(), **(env or {})}, check=False,
            )  # fmt: skip
        except FileNotFoundError:
            raise GitError("git is not installed, or not on PATH; install it (Debian: apt-get install git)") from None

    def text(self, *words: str, given: bytes | None = None, env: Mapping[str, str] | None = None) -> str:
        """What `git WORDS` prints, as text without the last line break."""
        return self.raw(*words, given=given, env=env).decode("utf-8", "replace").rstrip("\n")

    def commit(self, revision: str) -> str:
        """The full hash of the commit that a revision names.

        Raises:
            GitError: it names none.
        """
        found = self.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if found.returncode:
            raise GitError(f"{revision!r} names no commit here; see `git log --oneline --all` and `git tag --list`")
        return found.stdout.decode().strip()

    def read(self, commit: str, path: str) -> bytes | None:
        """The content of a file as of a commit; None where it has none of that name."""
        (content,) = self.contents([f"{commit}:{path}"])
        return content

    def contents(self, objects: Sequence[str], *, trees: bool = False) -> list[bytes | None]:
        """The contents of blobs or tags, named as `git cat-file` does (`COMMIT:path` or a hash); None for missing ones.

        One process, however many. trees: of trees instead, as Git stores them.
        """
        if not objects:
            return []
        given = "".join(f"{name}\n" for name in objects).encode()
        out, at = self.raw("cat-file", "--batch", "--buffer", given=given), 0
        kinds = (b"tree",) if trees else (b"blob", b"tag")
        found: list[bytes | None] = []
        for _ in objects:
            end = out.index(b"\n", at)
            header, at = out[at:end].split(b" "), end + 1
            if header[-1] in (b"missing", b"ambiguous") or len(header) < 3 or not header[-1].isdigit():
                found.append(None)
                continue
            size = int(header[-1])
            found.append(out[at : at + size] if header[-2] in kinds else None)
            at += size + 1
        return found

    def files(self, commit: str, *paths: str) -> dict[str, str]:
        """Path → hash of the blob of each file as of a commit, in folders too; of all files without paths.

        Symbolic links and submodules are left out.
        """
        listed = self.raw("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths)
        found = {}
        for entry in filter(None, listed.split(b"\0")):
            facts, _, path = entry.partition(b"\t")
            mode, kind, blob = facts.split()
            if kind == b"blob" and mode != b"120000":
                found[path.decode("utf-8", "surrogateescape")] = blob.decode()
        return found

    def config(self, key: str) -> str | None:
        """A value of Git's configuration; None where it is not set."""
        found = self.attempt("config", "--get", key)
        return found.stdout.decode().rstrip("\n") if found.returncode == 0 else None


def here(folder: Path | None = None) -> Git:
    """The repository whose working tree holds a folder (the current one unless told otherwise).

    Raises:
        GitError: there is none, or it has no commit yet.
    """
    start = folder or Path.cwd()
    found = Git(start).attempt("rev-parse", "--show-toplevel")
    if found.returncode:
        raise GitError(f"{start} is in no Git repository ({reason(found.stderr)}); go to your clone of the project")
    return Git(Path(os.fsdecode(found.stdout.removesuffix(b"\n"))))


def reason(stderr: bytes) -> str:
    """Why git refused: the lines that say so, as one, without advice and without a password in a URL."""
    lines = [line.strip() for line in stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    telling = [line for line in lines if re.match(r"(fatal|error|remote: |!)", line)] or lines[-1:]
    said = one_line("; ".join(telling)) or "no reason given"
    return re.sub(r"(\w+://)[^/@\s]+@", r"\1", said)


def shown(words: Iterable[str]) -> str:
    """A command line as a person would read it: the verb and what follows, without our own settings."""
    kept = list(words)
    while kept and kept[0] == "-c":
        kept = kept[2:]
    return " ".join(kept[:2])
