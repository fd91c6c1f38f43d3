"""The packages that a commit recorded in its requirements.txt against those that an interpreter has."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlops.git import Git

LOCK = "requirements.txt"
PROJECT = "pyproject.toml"
_ASK = """
import json, platform
from importlib.metadata import distributions
found = {d.metadata["Name"]: d.version for d in distributions() if d.metadata["Name"]}
print(json.dumps({"python": platform.python_version(), "packages": found}))
"""


@dataclass(frozen=True)
class Installed:
    """An interpreter: its version, and the packages that it imports by their normalised names."""

    python: str
    packages: Mapping[str, str]


def installed(python: Path) -> Installed:
    """Ask an interpreter. -I: neither PYTHONPATH nor the current folder take part."""
    from packaging.utils import canonicalize_name

    told = subprocess.run([str(python), "-I", "-c", _ASK], capture_output=True, text=True, check=True)
    facts = json.loads(told.stdout)
    return Installed(facts["python"], {canonicalize_name(name): v for name, v in facts["packages"].items()})


def differences(git: Git, commit: str, here: Installed) -> tuple[str, ...]:
    """What of an interpreter is not as the commit recorded it, a line each; packages beside the lock do not count."""
    text = (git.read(commit, LOCK) or b"").decode("utf-8", "replace")
    if not text.strip():
        return (f"commit {commit[:8]} has no {LOCK}: with which packages it ran is not known",)
    lines = [*_python(git.read(commit, PROJECT), here)]
    for name, wanted in pins(text, here.python).items():
        found = here.packages.get(name)
        if found != wanted:
            lines.append(f"{name} {wanted} recorded, {found or 'none'} installed")
    return tuple(lines)


def _python(project: bytes | None, here: Installed) -> Iterator[str]:
    import tomllib

    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        wanted = tomllib.loads((project or b"").decode("utf-8"))["project"]["requires-python"]
        if not SpecifierSet(wanted).contains(here.python, prereleases=True):
            yield f"Python {wanted} recorded, {here.python} here"
    except (KeyError, TypeError, ValueError, InvalidSpecifier):
        return  # a commit that says nothing of Python


def pins(text: str, python: str) -> dict[str, str]:
    """Name → version of a lock's requirements, those that hold for this machine and that version of Python."""
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    machine: dict[str, Any] = {"python_version": ".".join(python.split(".")[:2]), "python_full_version": python}
    found: dict[str, str] = {}
    for line in text.splitlines():
        if not line or line[0] in " \t#-":
            continue
        try:
            requirement = Requirement(line.partition(" --hash")[0].rstrip(" \\"))
        except InvalidRequirement:
            continue
        exact = [s.version for s in requirement.specifier if s.operator == "=="]
        if exact and (requirement.marker is None or requirement.marker.evaluate(machine)):
            found[canonicalize_name(requirement.name)] = exact[0]
    return found
