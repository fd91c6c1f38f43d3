"""The registry's tags: GTO's grammar, and one look at all of them.

    churn@v1.2.0     registers a version          churn@v1.2.0!    archives it, for good
    churn#prod#7     assigns a commit to a stage  churn#prod!#8    takes it away again
    churn@deprecated archives all there is

The number counts the changes of one model over all stages. GTO writes and reads the same tags; what they mean together
is told by `mlops.registry.resolve`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import NamedTuple

from mlops.git import Git

REGISTER, ARCHIVE, ASSIGN, UNASSIGN, DEPRECATE = "register", "archive", "assign", "unassign", "deprecate"

_NUMBER = r"(?:0|[1-9]\d*)"
_WORD = rf"(?:{_NUMBER}|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
SEMVER = rf"v{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-{_WORD}(?:\.{_WORD})*)?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?"
"""https://semver.org, version 2.0.0, with GTO's v in front."""
_STAGE = r"[a-zA-Z0-9](?:[a-zA-Z0-9/_-]*[a-zA-Z0-9])?"
_AFTER_NAME = re.compile(
    rf"(?:#(?P<stage>{_STAGE})(?P<away>!?)|@(?P<version>{SEMVER})(?P<gone>!?)|@(?P<old>deprecated))"
    r"(?:#(?P<counter>\d+))?"
)
_TAGGER = re.compile(r"(.*) (\d{1,10}) [+-]\d{4,}")
"""Name and email, seconds since 1970 (until the year 2286), the offset of the tagger's clock."""
FORMAT = "%(objecttype)%00%(objectname)%00%(object)%00%(type)%00%(tag)%00%(tagger)%00%(refname)"
"""What `git for-each-ref` is asked for of each tag."""


class Tag(NamedTuple):
    """One tag of the registry.

    kind: register, archive, assign, unassign or deprecate. version and stage: whichever the kind has. counter: None
    where the tag has none (`churn@v1.2.0`, and GTO's simple form). object: the tag's own hash. at: seconds since 1970
    by the tagger's clock. tagger: "Ada <ada@example.org>".
    """

    name: str
    kind: str
    version: str | None
    stage: str | None
    counter: int | None
    commit: str
    object: str
    at: int
    tagger: str

    @property
    def when(self) -> datetime:
        """`at` as a moment, in UTC."""
        return datetime.fromtimestamp(self.at, UTC)


class Found(NamedTuple):
    """All tags of one model. refused: what is wrong with those that cannot be followed, a line each.

    counter, versions: the highest number and the versions that any of them uses, followed or not: a name is taken once.
    """

    tags: list[Tag]
    refused: list[str]
    counter: int
    versions: frozenset[str]


def read(git: Git, artifact: str) -> Found:
    """The tags of a model, by one git process however many there are."""
    patterns = (f"refs/tags/{artifact}@*", f"refs/tags/{artifact}#*")
    listed = git.text("for-each-ref", f"--format={FORMAT}", *patterns)
    start = len("refs/tags/")
    found: list[Tag] = []
    refused: list[str] = []
    counters, versions = [0], set()
    for line in filter(None, listed.split("\n")):
        kind, own, target, of, inner, tagger, ref = line.split("\0")
        fields = _AFTER_NAME.fullmatch(ref, start + len(artifact))
        if fields is None:
            refused.append(f"tag {ref[start:]} is ignored: it is none of the forms in docs/registry.md")
            continue
        stage, away, version, gone, old, number = fields.groups()
        counter = int(number) if number else None
        if counter:
            counters.append(counter)
        if version:
            versions.add(version)
        signed = _TAGGER.fullmatch(tagger)
        if kind != "tag" or of != "commit" or inner != ref[start:] or signed is None:
            refused.append(_refusal(ref[start:], kind, own, (of, inner)))
            continue
        who, at = signed.groups()
        act = (UNASSIGN if away else ASSIGN) if stage else DEPRECATE if old else ARCHIVE if gone else REGISTER
        found.append(Tag(ref[start:], act, version, stage, counter, target, own, int(at), shown(who)))
    return Found(found, refused, max(counters), frozenset(versions))


def _refusal(name: str, kind: str, own: str, content: tuple[str, str]) -> str:
    """Why a tag of the right form is not followed, and what to do about it."""
    of, inner = content
    if kind != "tag":
        return (
            f"tag {name} is lightweight, says nothing of who and when, and is NOT followed; replace it:"
            f" git tag -d '{name}' && git tag -a '{name}' {own[:8]}"
        )
    if of != "commit":
        why = f"it names a {of or 'nothing'}, not a commit"
    elif inner != name:
        why = f"it was made, and signed if at all, as {shown(inner)}"
    else:
        why = "it does not say who made it and when"
    return f"tag {name} is NOT followed: {why}; make another one with the next number"


def shown(text: str) -> str:
    """A stranger's text without what steers a terminal."""
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def order(version: str) -> tuple[object, ...]:
    """What versions are sorted by: semantic versioning's precedence (a pre-release before its release)."""
    core, _, before = version[1:].partition("+")[0].partition("-")
    major, minor, patch = core.split(".")
    if not before:
        return int(major), int(minor), int(patch), True, ()
    words = tuple((0, int(w), "") if w.isdigit() else (1, 0, w) for w in before.split("."))
    return int(major), int(minor), int(patch), False, words
