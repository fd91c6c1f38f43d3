"""What a pull request is compared with: the commit where it left its target branch."""

from __future__ import annotations

from dataclasses import dataclass

from mlops.errors import GitError, ReportError
from mlops.git import Git

DEFAULTS = ("origin/main", "main")


@dataclass(frozen=True)
class Base:
    """Two commits.

    Args:
        head: the full hash of what is judged.
        commit: of the merge base, what it is judged against.
        branch: what the merge base was found with, without the remote's name.
        ahead: commits that only `head` has; behind: that only the branch has.
    """

    head: str
    commit: str
    branch: str
    ahead: int
    behind: int

    @property
    def name(self) -> str:
        """What the merge base is called in sentences."""
        short = self.commit[:8]
        return short if self.commit.startswith(self.branch) else f"{self.branch} ({short})"


def find(git: Git, head: str = "HEAD", base: str | None = None) -> Base:
    """The merge base of a revision and another.

    Args:
        git: the repository.
        head: what is judged.
        base: a branch or any revision; origin/main, else main, where it is None.

    Raises:
        ReportError: there is no such revision, no common commit in this clone, or nothing between the two.
    """
    try:
        mine = git.commit(head)
    except GitError:
        raise ReportError(f"{head!r} names no commit: nothing can be reported; `git commit` first") from None
    name, other = _target(git, base)
    found = git.attempt("merge-base", mine, other)
    commit = found.stdout.decode().split("\n")[0]
    if not commit:
        raise ReportError(_apart(git, head, name))
    if commit == mine:
        raise ReportError(
            f"{head} is in {name} already: there is nothing to compare;"
            " commit on a branch, or name an earlier commit with --base HEAD~1"
        )
    ahead, behind = map(int, git.text("rev-list", "--left-right", "--count", f"{mine}...{other}").split())
    return Base(mine, commit, _short(git, name), ahead, behind)


def _target(git: Git, base: str | None) -> tuple[str, str]:
    """Name and full hash of what the merge base is found with."""
    if base is not None:
        try:
            return base, git.commit(base)
        except GitError:
            raise ReportError(f"--base {base} names no commit here; {_deepen(git, base)}") from None
    for name in DEFAULTS:
        try:
            return name, git.commit(name)
        except GitError:
            continue
    raise ReportError(
        f"there is neither {' nor '.join(DEFAULTS)} here; {_deepen(git, 'main')}, or name another branch with --base"
    )


def _deepen(git: Git, branch: str) -> str:
    if _shallow(git):
        return "this clone is shallow: `git fetch --unshallow origin '+refs/heads/*:refs/remotes/origin/*'`"
    return f"`git fetch origin {branch.removeprefix('origin/')}` brings it, `git branch --all` lists what there is"


def _apart(git: Git, head: str, name: str) -> str:
    if _shallow(git):
        return f"this clone is shallow, and lacks the commit where {head} left {name}: `git fetch --unshallow`"
    return (
        f"{head} and {name} have no commit in common: their histories are unrelated;"
        " name a branch that this one comes from with --base"
    )


def _shallow(git: Git) -> bool:
    return git.text("rev-parse", "--is-shallow-repository") == "true"


def _short(git: Git, name: str) -> str:
    """A remote branch's name without the remote, so that words are the same in a clone of any kind."""
    if git.attempt("rev-parse", "--verify", "--quiet", f"refs/remotes/{name}").returncode:
        return name
    return name.partition("/")[2] or name
