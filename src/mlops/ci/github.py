"""GitHub: which pull request a finished run belongs to, by GitHub's own word alone, and its comments."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mlops.ci.rest import Api, ForgeError
from mlops.ci.sticky import Comment

LIMIT = 65_536
"""Characters of a comment."""
HINTS = {
    401: "$GITHUB_TOKEN is not accepted",
    403: "the job needs `permissions: pull-requests: write`",
    404: "there is no such thing, or $GITHUB_TOKEN may not see it",
}


@dataclass(frozen=True)
class Run:
    """A workflow's run, as the workflow_run event has it.

    Args:
        repository: owner/name of the repository it ran in.
        target: that one's default branch, which pull requests shall be merged into.
        sha: full hash of the commit it ran for; it was pushed to `branch` of the repository with number `source`,
            which `owner` has; None and empty for one that was deleted since.
        numbers: of open pull requests of that branch; GitHub names none for a fork's.
        conclusion: success, failure, …
        url: where people look at it.
    """

    repository: str
    target: str
    sha: str
    branch: str
    source: int | None
    owner: str
    numbers: tuple[int, ...]
    conclusion: str
    url: str


def read(path: Path) -> Run:
    """The event of a workflow that starts when another one has finished.

    Raises:
        ForgeError: the file is none.
    """
    try:
        event = json.loads(path.read_bytes())
        run, repository = event["workflow_run"], event["repository"]
        source = run["head_repository"] or {"id": None, "owner": {"login": ""}}
        if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", run["head_sha"]):
            raise ValueError("head_sha is no hash")
        pulls = run["pull_requests"]
        numbers = tuple(int(pull["number"]) for pull in pulls if pull["base"]["repo"]["id"] == repository["id"])
        return Run(
            str(repository["full_name"]), str(repository["default_branch"]), str(run["head_sha"]),
            str(run["head_branch"]), source["id"], str(source["owner"]["login"]), numbers,
            str(run["conclusion"]), str(run["html_url"]),
        )  # fmt: skip
    except FileNotFoundError:
        raise ForgeError(f"there is no {path}; GitHub names the file of its event in $GITHUB_EVENT_PATH") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ForgeError(f"{path} is no workflow_run event of GitHub's ({error!r}); see docs/ci.md") from None


def api(environment: Mapping[str, str] = os.environ) -> Api:
    """GitHub's API with the job's token.

    Raises:
        ForgeError: there is no token.
    """
    token = environment.get("GITHUB_TOKEN", "")
    if not token:
        raise ForgeError("$GITHUB_TOKEN is not set; give the step `env: GITHUB_TOKEN: ${{ github.token }}`")
    headers = {
        "Authorization": f"Bearer {token}",
        "Accept": "application/vnd.github+json",
        "X-GitHub-Api-Version": "2022-11-28",
        "User-Agent": "mlops",
    }
    return Api(environment.get("GITHUB_API_URL") or "https://api.github.com", headers, HINTS)


def pull(github: Api, run: Run) -> int | None:
    """The number of the open pull request into the default branch whose latest commit a run is of; None for none.

    So a report that was overtaken by a push or a merge is written nowhere.
    """
    place = f"/repos/{run.repository}/pulls"
    if run.numbers:
        found = [github.get(f"{place}/{number}") for number in run.numbers]
    elif run.source is not None:
        head = quote(f"{run.owner}:{run.branch}", safe="")
        found = list(github.pages(f"{place}?state=open&head={head}&per_page=100"))
    else:
        found = []
    return next((int(one["number"]) for one in found if _belongs(one, run)), None)


def _belongs(found: Mapping[str, Any], run: Run) -> bool:
    """GitHub passes over a filter that it does not understand, and an owner may have several forks."""
    head, base = found["head"], found["base"]
    source = (head["repo"] or {}).get("id")
    return (found["state"], base["ref"], head["sha"], source) == ("open", run.target, run.sha, run.source)


@dataclass(frozen=True)
class Conversation:
    """The comments of a pull request.

    Args:
        github: the API.
        repository: owner/name.
        number: of the pull request.
        author: whom the token belongs to; a job's token may not ask.
    """

    github: Api
    repository: str
    number: int
    author: str
    limit: int = LIMIT

    def comments(self) -> Iterator[Comment]:
        """All of them, the oldest first."""
        place = f"/repos/{self.repository}/issues/{self.number}/comments?per_page=100"
        for one in self.github.pages(place):
            yield Comment(int(one["id"]), str((one["user"] or {}).get("login", "")), str(one["body"] or ""))

    def create(self, body: str) -> None:
        """Add one."""
        self.github.send("POST", f"/repos/{self.repository}/issues/{self.number}/comments", {"body": body})

    def update(self, number: int, body: str) -> None:
        """Replace one."""
        self.github.send("PATCH", f"/repos/{self.repository}/issues/comments/{number}", {"body": body})
