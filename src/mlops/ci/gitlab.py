"""GitLab: the merge request that a job's own variables name, and its notes."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlops.ci.rest import Api, ForgeError
from mlops.ci.sticky import Comment

LIMIT = 1_000_000
"""Characters of a note."""
HINTS = {
    401: "$GITLAB_TOKEN is not accepted: it is a project access token with scope `api`",
    403: "$GITLAB_TOKEN needs scope `api` and the role Developer",
    404: "there is no such thing, or $GITLAB_TOKEN may not see it",
}


@dataclass(frozen=True)
class Notes:
    """The notes of a merge request.

    Args:
        gitlab: the API.
        place: the path of the notes.
        author: the number of the user whom the token belongs to.
    """

    gitlab: Api
    place: str
    author: str
    limit: int = LIMIT

    def comments(self) -> Iterator[Comment]:
        """All of them, the oldest first."""
        for one in self.gitlab.pages(f"{self.place}?sort=asc&order_by=created_at&per_page=100"):
            yield Comment(int(one["id"]), str(one["author"]["id"]), str(one["body"]))

    def create(self, body: str) -> None:
        """Add one."""
        self.gitlab.send("POST", self.place, {"body": _inert(body)})

    def update(self, number: int, body: str) -> None:
        """Replace one."""
        self.gitlab.send("PUT", f"{self.place}/{number}", {"body": _inert(body)})


@dataclass(frozen=True)
class Job:
    """What a merge request's job knows. sha: of the commit; status: success or failed; url: where people look at it."""

    project: str
    merge_request: str
    sha: str
    status: str
    url: str

    def notes(self, gitlab: Api) -> Notes:
        """The notes of its merge request."""
        place = f"/projects/{self.project}/merge_requests/{self.merge_request}/notes"
        return Notes(gitlab, place, str(gitlab.get("/user")["id"]))


def job(environment: Mapping[str, str] = os.environ) -> Job:
    """The job that runs.

    Raises:
        ForgeError: it is none of a merge request.
    """
    names = ("CI_PROJECT_ID", "CI_MERGE_REQUEST_IID", "CI_COMMIT_SHA", "CI_JOB_STATUS", "CI_JOB_URL")
    if missing := [name for name in names if not environment.get(name)]:
        raise ForgeError(f"${missing[0]} is not set: --gitlab is for a job of a merge request's pipeline")
    return Job(*(environment[name] for name in names))


def api(environment: Mapping[str, str] = os.environ) -> Api | None:
    """GitLab's API; None without a token, which a fork's jobs do not have.

    Raises:
        ForgeError: $CI_API_V4_URL is no address.
    """
    token = environment.get("GITLAB_TOKEN", "")
    if not token:
        return None
    return Api(environment.get("CI_API_V4_URL", ""), {"PRIVATE-TOKEN": token, "User-Agent": "mlops"}, HINTS)


def _inert(body: str) -> str:
    """GitLab obeys lines of a note that begin with /, such as /merge, whoever caused them."""
    return re.sub(r"(?m)^(\s*)/", r"\1\\/", body)
