"""Signed tags: which of them a key that policy.yaml allows has signed. `git tag -s` makes them, `git tag -v` checks."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from mlops.errors import RegistryError
from mlops.git import Git


def untrusted(git: Git, objects: Sequence[str], signers: Path) -> dict[str, str]:
    """Tags whose signature is missing, bad, or by nobody whom `signers` names.

    Args:
        git: the repository.
        objects: hashes of tag objects. A tag object never changes, so each is checked once in a process.
        signers: SSH keys in the format of ssh-keygen(1), "ALLOWED SIGNERS".

    Returns:
        Hash → why it is not trusted.

    Raises:
        RegistryError: the file of signers cannot be read.
    """
    try:
        allowed = signers.read_bytes()
    except OSError as error:
        raise RegistryError(
            f"{signers} cannot be read ({error.strerror}); policy.yaml names it under registry.allowed_signers"
        ) from error
    checked = {tag: _wrong(str(git.folder), tag, str(signers), allowed) for tag in objects}
    return {tag: why for tag, why in checked.items() if why}


@functools.cache
def _wrong(folder: str, tag: str, signers: str, _content: bytes) -> str:
    """Why a tag is not trusted; empty when it is. The signers' content is part of what is remembered."""
    words = ("-c", f"gpg.ssh.allowedSignersFile={signers}", "-c", "gpg.format=ssh", "verify-tag", "--raw", tag)
    done = Git(Path(folder)).attempt(*words)
    said = (done.stdout + done.stderr).decode("utf-8", "replace")
    if done.returncode == 0 and re.search(r'^Good "git" signature for \S+ with', said, re.MULTILINE):
        return ""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return lines[-1].removeprefix("error: ") if lines else "no signature"
