"""What is told of the past: by which clock, at which moment, on what grounds."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from mlops import cli
from mlops.errors import RegistryError
from mlops.registry import moments
from tests.registry.repository import Bundles, Repository

WHEN = datetime(2026, 3, 15, 13, 0, tzinfo=UTC)


@pytest.fixture
def told(repository: Repository, bundles: Bundles, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """v1.0.0 in prod from 13:00 UTC on, v1.1.0 from 15:00 on, taken away at 16:00."""
    commits = [repository.version(bundles[f"v{n}"], params={"max_depth": n}) for n in (1, 2)]
    for number, commit in enumerate(commits):
        at = WHEN + timedelta(hours=2 * number)
        repository.tag(f"churn@v1.{number}.0", commit, when=at)
        repository.tag(f"churn#prod#{number + 1}", commit, when=at)
    repository.tag("churn#prod!#3", commits[1], when=WHEN + timedelta(hours=3))
    monkeypatch.chdir(repository.folder / "src")
    return repository


def asked(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cli.main(list(words))
    out, err = capsys.readouterr()
    return code, out, err


@pytest.mark.parametrize(
    ("at", "version"),
    [
        ("2026-03-15T12:59:59Z", None),
        ("2026-03-15T13:00:00Z", "v1.0.0"),
        ("2026-03-15 15:59+01:00", "v1.0.0"),
        ("2026-03-15 16:00 Europe/Berlin", "v1.1.0"),
        ("2026-03-15 11:30 America/New_York", "v1.1.0"),
        ("2026-03-15T16:00:00+00:00", "v1.0.0"),
        ("2026-03-16", "v1.0.0"),
    ],
)
def test_what_ran_at_a_moment(
    told: Repository, capsys: pytest.CaptureFixture[str], at: str, version: str | None
) -> None:
    code, out, _ = asked(capsys, "history", "--at", at, "--json")
    assert code == 0
    stages = json.loads(out)["stages"]
    assert (stages["prod"]["version"] if stages else None) == version
    if version:
        assert stages["prod"]["params"]["max_depth"] == int(version[3]) + 1
        assert stages["prod"]["metrics"]["roc_auc"]["low"] < stages["prod"]["metrics"]["roc_auc"]["high"]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_a_moment_without_a_zone_is_by_the_clock_on_the_wall(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert moments.parse("2026-03-15 14:00") == moments.parse(f"2026-03-15 14:00 {zone}")
        assert moments.shown(WHEN).endswith("+05:30" if zone != "UTC" else "+00:00")
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-13-01", "", "2026-03-15 14:00 Nowhere/Land", "2026-03-15 14:00Z Europe/Berlin", "14:00"]
)
def test_no_moment_is_told_with_examples(text: str) -> None:
    with pytest.raises(RegistryError, match=r"is no moment; type 2026-03-15 14:00"):
        moments.parse(text)


def test_the_future_is_not_known() -> None:
    with pytest.raises(RegistryError, match="in the future"):
        moments.parse("2126-01-01")


def test_history_is_told_latest_first(told: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = asked(capsys, "history", "--json")
    found = json.loads(out)
    assert [e["tag"] for e in found] == [
        "churn#prod!#3",
        "churn#prod#2",
        "churn@v1.1.0",
        "churn#prod#1",
        "churn@v1.0.0",
    ]
    assert found[0]["serves"] == {"prod": "v1.0.0"}
    assert [e["verdict"] for e in found[1:4:2]] == ["ungated", None] or found[1]["verdict"] == "ungated"
    _, out, _ = asked(capsys, "history", "-n", "2", "--stage", "prod")
    assert "v1.1.0 leaves prod" in out
    assert "v1.0.0" not in out


def test_show_says_what_serves_and_that_nobody_judged_it(told: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = asked(capsys, "show", "--json")
    prod = json.loads(out)["prod"]
    assert (prod["version"], prod["tag"], prod["verdict"]) == ("v1.0.0", "churn#prod#1", "ungated")
    assert prod["commit"] == told.git.commit("churn@v1.0.0")
    assert prod["since"] == "2026-03-15T16:00:00Z", "since it came back"
    _, out, _ = asked(capsys, "show", "--all")
    assert "ungated" in out
    assert "v1.1.0" in out


def test_show_with_nothing_promoted(
    repository: Repository, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(repository.folder)
    code, out, _ = asked(capsys, "show")
    assert code == 0
    assert "mlops promote" in out
    assert asked(capsys, "show", "--json")[1].strip() == "{}"


def test_an_unknown_stage_of_a_tag_is_named(told: Repository, capsys: pytest.CaptureFixture[str]) -> None:
    told.tag("churn#prd#4", told.git.commit("HEAD"))
    _, _, err = asked(capsys, "show")
    assert "tags name a stage 'prd' that policy.yaml does not; did you mean prod?" in err
