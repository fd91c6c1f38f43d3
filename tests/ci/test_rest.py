"""A forge that is slow, limited, broken or false: what is tried again, how long, and what is said in the end."""

from __future__ import annotations

import socket
import time

import pytest

from mlops.ci import rest
from mlops.ci.github import Conversation, api
from mlops.ci.rest import Api, ForgeError, TransientError
from mlops.ci.sticky import put
from tests.ci.forge import BOT, Forge
from tests.ci.sample import HEAD


def github(forge: Forge) -> Api:
    return api({"GITHUB_TOKEN": "secret", "GITHUB_API_URL": forge.url})


def write(forge: Forge) -> tuple[str, list[float]]:
    """Write a comment to pull request 3; what was done, and how long it waited."""
    forge.open(3, HEAD)
    waited: list[float] = []
    board = Conversation(github(forge), "acme/churn", 3, BOT)
    return rest.patiently(lambda: put(board, lambda _: "text"), waited.append), waited


def test_a_server_that_fails_is_asked_again_and_later_each_time(forge: Forge) -> None:
    forge.refuse(502, "<html><body>Bad gateway</body></html>", times=3)
    assert write(forge) == ("created", [1, 2, 4])
    assert len(forge.comments[3]) == 1


def test_a_comment_whose_answer_got_lost_is_not_written_twice(forge: Forge) -> None:
    forge.open(3, HEAD)
    forge.next_answers = []
    board = Conversation(github(forge), "acme/churn", 3, BOT)
    waited: list[float] = []

    def work() -> str:
        if not waited:  # what comes after the look at the comments
            list(board.comments())
            forge.refuse(504, "", done=True)
            board.create(f"{'<!-- mlops-report:v1 -->'}\ntext")
        return put(board, lambda _: "text")

    assert rest.patiently(work, waited.append) == "unchanged"
    assert len(forge.comments[3]) == 1


@pytest.mark.parametrize("status", [403, 429])
def test_it_waits_as_long_as_it_is_told(forge: Forge, status: int) -> None:
    forge.refuse(status, {"message": "You have exceeded a secondary rate limit"}, Retry_After="17")
    assert write(forge) == ("created", [17])


def test_it_waits_until_the_limit_of_requests_is_reset(forge: Forge) -> None:
    soon = str(int(time.time()) + 60)
    forge.refuse(403, {"message": "API rate limit exceeded"}, X_RateLimit_Remaining="0", X_RateLimit_Reset=soon)
    done, (waited,) = write(forge)
    assert done == "created"
    assert 30 < waited <= 60


def test_a_limit_without_a_time_is_waited_for_like_a_failure(forge: Forge) -> None:
    forge.refuse(403, {"message": "You have exceeded a secondary rate limit. Please wait."}, times=2)
    assert write(forge) == ("created", [1, 2])


def test_nobody_waits_for_an_hour(forge: Forge) -> None:
    forge.refuse(429, {"message": "Too many requests"}, Retry_After="3600")
    with pytest.raises(
        ForgeError, match=r"429 to GET .*: Too many requests; it asks to wait 3600 s: run the job again"
    ):
        write(forge)


def test_a_server_that_stays_broken_is_reported(forge: Forge) -> None:
    forge.refuse(500, {"message": "Server Error"}, times=rest.ATTEMPTS)
    with pytest.raises(ForgeError, match=r"answered 500 to GET .*: Server Error; tried 5 times") as caught:
        write(forge)
    assert "\n" not in str(caught.value)
    assert forge.writes == []


def test_an_answer_that_is_no_json_is_tried_again(forge: Forge) -> None:
    forge.refuse(200, "<html>")
    assert write(forge) == ("created", [1])


def test_a_server_that_is_not_there_is_named() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    gone = Api(url, {}, {})
    with pytest.raises(ForgeError, match=rf"GET /user at {url}: .*refused; tried 5 times"):
        rest.patiently(lambda: gone.get("/user"), lambda _: None)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_the_token_follows_no_redirection(forge: Forge, status: int) -> None:
    forge.refuse(status, {"message": "Moved"}, Location=f"{forge.url}/elsewhere")
    with pytest.raises(ForgeError, match=f"answered {status} to GET /user: Moved"):
        github(forge).get("/user")
    assert [a.path for a in forge.asked] == ["/user"]


def test_the_next_page_is_not_fetched_from_another_server(forge: Forge) -> None:
    forge.refuse(200, [{"id": 1}], Link='<http://127.0.0.1:1/x>; rel="next"')
    with pytest.raises(ForgeError, match="on another server than"):
        list(github(forge).pages("/user"))


def test_only_what_may_pass_is_tried_again(forge: Forge) -> None:
    for status, passes in ((400, False), (401, False), (404, False), (408, True), (422, False), (503, True)):
        forge.refuse(status, {"message": "No"})
        with pytest.raises(TransientError if passes else ForgeError, match=f"answered {status}"):
            github(forge).get("/user")
