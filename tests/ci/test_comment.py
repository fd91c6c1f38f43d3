"""`mlops comment` against GitHub's API: one comment, on the right pull request, by us, whatever the report says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlops.ci.sticky import MARK
from mlops.report import markdown
from tests.ci.conftest import Comment, event, of_fork
from tests.ci.forge import BOT, FORK, REPOSITORY, Forge
from tests.ci.sample import BASE, HEAD, long, report

RUN = "https://github.com/acme/churn/actions/runs/9"
Captured = pytest.CaptureFixture[str]


def bodies(forge: Forge, number: int = 3) -> list[str]:
    return [one["body"] for one in forge.comments[number]]


def test_it_is_created_once_and_updated_after(forge: Forge, comment: Comment, capsys: Captured) -> None:
    forge.open(3, HEAD)
    assert comment(report(), event(numbers=(3,))) == 0
    assert capsys.readouterr().out == "pull request 3: comment created\n"
    (first,) = bodies(forge)
    assert first.startswith(f"{MARK}\n## better: roc\\_auc 0.8100 against 0.8000")
    forge.pulls[0]["head"]["sha"] = BASE
    worse = report(
        BASE, verdict="worse", passed=False, headline="worse: roc_auc 0.7000", reasons=["worse: roc_auc 0.7000"]
    )
    assert comment(worse, event(BASE, numbers=(3,))) == 0
    assert capsys.readouterr().out == "pull request 3: comment updated\n"
    (second,) = bodies(forge)
    assert "## worse: roc" in second
    assert [method for method, _ in forge.writes] == ["POST", "PATCH"]
    assert {a.headers["Authorization"] for a in forge.asked} == {"Bearer secret"}


def test_the_same_again_is_not_sent(forge: Forge, comment: Comment, capsys: Captured) -> None:
    forge.open(3, HEAD)
    for _ in range(2):
        assert comment(report(), event(numbers=(3,))) == 0
    assert forge.writes == [("POST", "/repos/acme/churn/issues/3/comments")]
    assert capsys.readouterr().out.endswith("comment unchanged\n")


@pytest.mark.parametrize(
    ("body", "author"),
    [
        (f"{MARK}\nmine", "eve"),
        (f"{MARK}\nmine", "github-actions"),
        (f"> {MARK}\nquoted", BOT),
        ("coverage: 80 %", BOT),
    ],
)
def test_comments_of_others_are_left_alone(forge: Forge, comment: Comment, body: str, author: str) -> None:
    forge.open(3, HEAD)
    forge.say(3, body, author)
    assert comment(report(), event(numbers=(3,))) == 0
    assert bodies(forge)[0] == body
    assert [method for method, _ in forge.writes] == ["POST"]


def test_ours_is_found_on_whatever_page(forge: Forge, comment: Comment) -> None:
    forge.open(3, HEAD)
    for i in range(250):
        forge.say(3, f"{MARK}\nours" if i == 230 else "Hm.", BOT if i == 230 else "ada")
    assert comment(report(), event(numbers=(3,))) == 0
    assert forge.writes == [("PATCH", "/repos/acme/churn/issues/comments/231")]


def test_whoever_writes_with_a_token_of_her_own_says_so(forge: Forge, comment: Comment) -> None:
    forge.open(3, HEAD)
    forge.say(3, f"{MARK}\nours", "acme-robot")
    assert comment(report(), event(numbers=(3,)), "--author", "acme-robot") == 0
    assert forge.writes == [("PATCH", "/repos/acme/churn/issues/comments/1")]


def test_a_forks_pull_request_is_found_by_its_branch(forge: Forge, comment: Comment) -> None:
    forge.open(1, HEAD)  # the same commit on a branch of our own
    forge.open(2, HEAD, source=3)  # another fork of the same owner has the same branch
    forge.open(3, HEAD, source=FORK, base="next")
    forge.open(4, HEAD, source=FORK)
    assert comment(report(), of_fork()) == 0
    assert forge.writes == [("POST", "/repos/acme/churn/issues/4/comments")]
    assert forge.asked[0].query["head"] == ["eve:deeper"]


def test_a_filter_that_is_passed_over_finds_nobody_elses(forge: Forge, comment: Comment) -> None:
    forge.open(1, HEAD)
    forge.open(2, BASE, source=FORK)
    gone = {"id": FORK, "owner": {"login": ""}}
    assert comment(report(), of_fork(head_repository=gone)) == 0
    assert comment(report(), of_fork(head_repository=None)) == 0
    assert forge.writes == []


@pytest.mark.parametrize("numbers", [(3,), ()])
@pytest.mark.parametrize("change", ["pushed", "closed", "retargeted"])
def test_what_was_overtaken_is_written_nowhere(
    forge: Forge, comment: Comment, capsys: Captured, numbers: tuple[int, ...], change: str
) -> None:
    forge.open(3, BASE if change == "pushed" else HEAD, base="next" if change == "retargeted" else "main")
    forge.pulls[0]["state"] = "closed" if change == "closed" else "open"
    assert comment(report(), event(numbers=numbers)) == 0
    assert capsys.readouterr().out.startswith("no open pull request into main is of acme:deeper at aaaaaaaa")
    assert forge.writes == []


def test_a_pull_request_that_a_fork_opened_upstream_is_not_ours(forge: Forge, comment: Comment) -> None:
    forge.open(3, HEAD)
    given = event(numbers=(3,))
    given["workflow_run"]["pull_requests"][0]["base"]["repo"]["id"] = 77
    given["workflow_run"]["head_branch"] = "other"
    assert comment(report(), given) == 0
    assert forge.writes == []


def test_what_is_too_long_is_cut_at_a_section_and_links_the_run(forge: Forge, comment: Comment) -> None:
    forge.open(3, HEAD)
    assert len(markdown.render(long())) > 70_000
    assert comment(long(), event(numbers=(3,))) == 0
    (body,) = bodies(forge)
    assert 30_000 < len(body) <= 65_536
    assert body.endswith(f"[the whole report]({RUN}).\n")
    assert body.startswith(f"{MARK}\n## better")


def test_a_forge_that_takes_less_than_it_says_gets_half(forge: Forge, comment: Comment, capsys: Captured) -> None:
    forge.open(3, HEAD)
    forge.most = 33_000
    assert comment(long(), event(numbers=(3,))) == 0
    assert [method for method, _ in forge.writes] == ["POST", "POST"]
    assert len(bodies(forge)[0]) <= 32_768
    forge.most = 10
    assert comment(report(), event(numbers=(3,))) == 1
    assert "answered 422 to PATCH /repos/acme/churn/issues/comments/1: Validation Failed; Body is too long" in (
        capsys.readouterr().err
    )


HOSTILE: dict[str, Any] = {
    "no JSON": b"<script>EVIL</script>",
    "no text": b"\xff\xfe\x00",
    "not a number": json.dumps(report(cost={"size": None, "latency": None, "train_seconds": float("nan")})).encode(),
    "a number of a pull request": report(number=99, EVIL=1),
    "nested": b"[" * 200_000,
    "digits": b'{"verdict": ' + b"9" * 10_000 + b"}",
    "huge": b" " * 5_000_000,
    "a verdict of its own": report(verdict="EVIL"),
    "another commit": report(BASE, headline="EVIL"),
    "a list": [report()],
    "a long text": report(headline="EVIL" * 1_000),
}


@pytest.mark.parametrize("artifact", HOSTILE.values(), ids=HOSTILE)
def test_an_artifact_that_is_no_report_says_nothing(
    forge: Forge, comment: Comment, capsys: Captured, artifact: Any
) -> None:
    forge.open(3, HEAD)
    forge.open(99, HEAD, branch="main")
    forge.say(3, f"{MARK}\n## better, on an earlier commit")
    assert comment(artifact, event(numbers=(3,))) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    (body,) = bodies(forge)
    assert body.startswith(f"{MARK}\n**There is no report on commit aaaaaaaa.**")
    assert "EVIL" not in body
    assert forge.writes == [("PATCH", "/repos/acme/churn/issues/comments/1")]


def test_values_that_no_words_fit_say_nothing(
    forge: Forge, comment: Comment, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    def render(*_: object) -> str:
        raise TypeError("unsupported format string")

    monkeypatch.setattr(markdown, "render", render)
    forge.open(3, HEAD)
    assert comment(report(), event(numbers=(3,))) == 1
    assert "report.json cannot be put into words (TypeError: unsupported" in capsys.readouterr().err
    assert "no report on commit" in bodies(forge)[0]


def test_names_in_a_report_are_made_harmless(forge: Forge, comment: Comment) -> None:
    forge.open(3, HEAD)
    evil = "@acme/all <img src=x onerror=alert(1)> [x](javascript:1) #1 | **b** \u202e <!-- mlops-report:v1 -->"
    shown = {"name": evil, "before": evil, "after": None, "stages": ["train"]}
    assert comment(report(headline=f"better: {evil}", params={"count": 1, "shown": [shown]}), event(numbers=(3,))) == 0
    (body,) = bodies(forge)
    text = body.removeprefix(MARK)
    for raw in ("@acme", "<img", "[x]", " #1", "**b**", "\u202e", "<!--"):
        assert raw not in text, raw


def test_a_run_that_left_no_report_is_told_instead_of_an_old_one(forge: Forge, comment: Comment) -> None:
    forge.open(3, HEAD)
    forge.say(3, f"{MARK}\n## better, on an earlier commit")
    assert comment(None, event(numbers=(3,), conclusion="failure")) == 0
    (body,) = bodies(forge)
    assert "no report on commit aaaaaaaa" in body
    assert f"ended with `failure` and left none that can be read; [the run]({RUN})" in body


def test_a_run_that_failed_after_its_report_says_so_first(forge: Forge, comment: Comment) -> None:
    forge.open(3, HEAD)
    assert comment(report(), event(numbers=(3,), conclusion="failure")) == 0
    assert bodies(forge)[0].startswith(f"{MARK}\n**The run that wrote this ended with `failure`**")
    refused = report(passed=False, verdict="worse", headline="worse: by much", reasons=["worse: by much"])
    assert comment(refused, event(numbers=(3,), conclusion="failure")) == 0
    assert bodies(forge)[0].startswith(f"{MARK}\n## worse")  # that is why


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "is no workflow_run event of GitHub's"),
        ([], "is no workflow_run event of GitHub's"),
        (event(sha="main"), "head_sha is no hash"),
        ({**event(), "repository": None}, "is no workflow_run event of GitHub's"),
    ],
)
def test_another_event_is_refused_in_one_line(
    forge: Forge, comment: Comment, capsys: Captured, given: Any, said: str
) -> None:
    assert comment(report(), given) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert forge.asked == []


def test_without_a_token_nothing_is_asked(
    forge: Forge, comment: Comment, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_TOKEN")
    assert comment(report(), event()) == 1
    assert capsys.readouterr().err.startswith("error: $GITHUB_TOKEN is not set; give the step")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("GITHUB_API_URL", "file:///etc")
    assert comment(report(), event()) == 1
    assert "'file:///etc' is no address of an API" in capsys.readouterr().err
    assert forge.asked == []


def test_a_token_that_may_not_write_is_told_at_once(forge: Forge, comment: Comment, capsys: Captured) -> None:
    forge.open(REPOSITORY, HEAD)
    forge.refuse(403, {"message": "Resource not accessible by integration"})
    assert comment(report(), event()) == 1
    error = capsys.readouterr().err
    assert "answered 403 to GET /repos/acme/churn/pulls: Resource not accessible by integration" in error
    assert "pull-requests: write" in error
    assert "secret" not in error
    assert len(forge.asked) == 1


def test_a_folder_in_the_reports_place_keeps_no_old_verdict(forge: Forge, comment: Comment, tmp_path: Path) -> None:
    from mlops.ci import posted
    from mlops.errors import ReportError

    (tmp_path / "report.json").mkdir()
    with pytest.raises(ReportError, match="cannot be read"):
        posted.read(tmp_path / "report.json", HEAD)
    forge.open(3, HEAD)
    forge.say(3, f"{MARK}\n## better, on an earlier commit")
    assert comment(None, event(numbers=(3,), conclusion="cancelled")) == 0
    (body,) = bodies(forge)
    assert "ended with `cancelled`" in body
