"""What tags mean together, against a reading that is as plain as it is slow, and against GTO where GTO is right."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from gto.api import show as gto_show
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops.registry import resolve, tags
from mlops.registry.tags import ARCHIVE, ASSIGN, DEPRECATE, REGISTER, UNASSIGN, Tag
from tests.registry.repository import Repository

START = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
COMMITS = [f"{n:040x}" for n in range(1, 9)]
STAGES = ("prod", "staging", "dev")


def tag(
    kind: str, commit: str, at: int, *, stage: str | None = None, version: str | None = None, n: int | None = None
) -> Tag:
    number = "" if n is None else f"#{n}"
    mark = "!" if kind in (UNASSIGN, ARCHIVE) else ""
    name = f"churn#{stage}{mark}{number}" if stage else f"churn@{version or 'deprecated'}{mark}{number}"
    return Tag(name, kind, version, stage, n, commit, f"object of {name}", START + at, "Ada <ada@example.org>")


def history(seed: int, length: int) -> list[Tag]:
    """Random tags: clocks that stand still and go back, numbers that are used twice, everything withdrawn at times."""
    rng, clock, number = random.Random(seed), 0, 0
    made: dict[str, Tag] = {}
    versions: dict[str, str] = {}
    for _ in range(length):
        clock += rng.choice((0, 0, 1, 60))
        at = clock - (rng.randrange(500) if rng.random() < 0.05 else 0)
        commit, stage, kind = rng.choice(COMMITS), rng.choice(STAGES), rng.choices(range(5), (30, 50, 15, 4, 1))[0]
        if kind == 0:
            version = f"v1.{len(versions)}.0"
            versions[version] = commit
            new = tag(REGISTER, commit, at, version=version)
        elif kind == 3 and versions:
            version = rng.choice(list(versions))
            new = tag(ARCHIVE, versions[version], at, version=version)
        elif kind == 4:
            new = tag(DEPRECATE, commit, at, n=(number := number + 1))
        else:
            number += 0 if rng.random() < 0.05 else 1
            new = tag(ASSIGN if kind != 2 else UNASSIGN, commit, at, stage=stage, n=number)
        made.setdefault(new.name, new)
    found = list(made.values())
    rng.shuffle(found)
    return found


def brute(found: list[Tag], until: int | None = None) -> dict[str, tuple[str, str]]:
    """Stage → (version, tag): every stage replayed by itself, every question asked anew, nothing remembered."""
    ordered = resolve._timed(found)[0]
    place = {t: i for i, (t, _) in enumerate(ordered)}
    known = [t for t, at in ordered if until is None or at <= until]
    served = {}
    for stage in {t.stage for t in known if t.stage}:
        live: list[Tag] = []
        for t in known:
            if t.kind == DEPRECATE:
                live = []
            elif t.stage == stage:
                live = [other for other in live if other.commit != t.commit] + ([t] if t.kind == ASSIGN else [])
        for t in reversed(live):
            own = [r for r in found if r.kind == REGISTER and r.commit == t.commit]
            alive = [r for r in own if not _gone(r, known, place)]
            if alive or not own:
                then = [r for r in alive if place[r] < place[t]] or alive
                best = max(then, key=lambda r: tags.order(str(r.version)), default=None)
                served[stage] = (str(best.version) if best else f"g{t.commit[:12]}", t.name)
                break
    return served


def _gone(registration: Tag, known: list[Tag], place: dict[Tag, int]) -> bool:
    after = [t for t in known if t.kind == DEPRECATE and place[t] > place[registration]]
    return bool(after) or any(t.kind == ARCHIVE and t.version == registration.version for t in known)


def served(picture: resolve.Picture) -> dict[str, tuple[str, str]]:
    return {stage: (a.version, a.tag) for stage, a in picture.stages.items()}


@pytest.mark.parametrize("seed", range(8))
def test_a_thousand_random_tags_mean_what_a_plain_reading_says(seed: int) -> None:
    found = history(seed, 1000)
    assert served(resolve.resolve(found)) == brute(found)
    clocks = sorted({t.at for t in found})
    for at in clocks[:: len(clocks) // 5]:
        assert served(resolve.resolve(found, datetime.fromtimestamp(at, UTC))) == brute(found, at)


@settings(max_examples=200)
@given(st.integers(0, 10**9), st.integers(0, 30))
def test_short_random_histories_mean_what_a_plain_reading_says(seed: int, length: int) -> None:
    found = history(seed, length)
    assert served(resolve.resolve(found)) == brute(found)


@given(st.lists(st.integers(0, 12), max_size=9))
def test_as_few_clocks_as_possible_are_taken_to_be_wrong(times: list[int]) -> None:
    kept = resolve._rising(times, now=100)
    run = [t for t, k in zip(times, kept, strict=True) if k]
    assert run == sorted(run)
    longest = max(
        (len(c) for n in range(len(times) + 1) for c in combinations(times, n) if list(c) == sorted(c)), default=0
    )
    assert len(run) == longest


def test_the_counter_decides_where_gtos_clock_does_not() -> None:
    a, b = COMMITS[:2]
    same_second = [tag(ASSIGN, a, 5, stage="prod", n=9), tag(ASSIGN, b, 5, stage="prod", n=10)]
    assert resolve.resolve(same_second).stages["prod"].commit == b
    back_dated = [tag(ASSIGN, a, 50, stage="prod", n=1), tag(ASSIGN, b, 7, stage="prod", n=2)]
    picture = resolve.resolve(back_dated)
    assert picture.stages["prod"].commit == b
    assert "against the order of the counters" in picture.warnings[0]


def test_a_clock_of_the_far_future_makes_nothing_late() -> None:
    a, b, c = COMMITS[:3]
    ahead = 10 * 365 * 86_400
    found = [tag(ASSIGN, x, at, stage="prod", n=n) for n, (x, at) in enumerate(((a, 0), (b, ahead), (c, 60)), 1)]
    assert resolve.resolve(found, datetime.fromtimestamp(START + 30, UTC)).stages["prod"].commit == b
    assert resolve.resolve(found, datetime.fromtimestamp(START + 61, UTC)).stages["prod"].commit == c


def test_taking_away_brings_back_and_archiving_is_for_good() -> None:
    a, b = COMMITS[:2]
    found = [
        tag(REGISTER, a, 0, version="v1.0.0"),
        tag(ASSIGN, a, 0, stage="prod", n=1),
        tag(REGISTER, b, 10, version="v1.1.0"),
        tag(ASSIGN, b, 10, stage="prod", n=2),
        tag(UNASSIGN, b, 20, stage="prod", n=3),
    ]
    back = resolve.resolve(found).stages["prod"]
    assert (back.version, back.tag, back.at.timestamp()) == ("v1.0.0", "churn#prod#1", START + 20)
    found.append(tag(ARCHIVE, a, 30, version="v1.0.0"))
    assert "prod" not in resolve.resolve(found).stages
    found.append(tag(ASSIGN, a, 40, stage="prod", n=4))
    assert "prod" not in resolve.resolve(found).stages
    then = resolve.resolve(found, datetime.fromtimestamp(START + 25, UTC))
    assert then.stages["prod"].version == "v1.0.0"


def test_a_commit_without_a_version_is_served_under_its_hash() -> None:
    picture = resolve.resolve([tag(ASSIGN, COMMITS[0], 0, stage="prod", n=1)])
    assert picture.stages["prod"].version == f"g{COMMITS[0][:12]}"


@pytest.mark.parametrize("seed", range(4))
def test_where_gto_is_right_it_says_the_same(repository: Repository, seed: int) -> None:
    """Clocks that run, nothing archived, commits registered first: there both readings must be one."""
    rng, when = random.Random(seed), datetime(2026, 1, 1, tzinfo=UTC)
    commits = [repository.commit(f"version {n}") for n in range(5)]
    for n, commit in enumerate(commits):
        repository.tag(f"churn@v1.{n}.0", commit, when=when + timedelta(minutes=n))
    live: dict[str, list[str]] = {s: [] for s in STAGES}
    for n in range(1, 25):
        stage, commit = rng.choice(STAGES), rng.choice(commits)
        away = rng.random() < 0.25 and bool(live[stage])
        if away:
            commit = live[stage].pop()
        else:
            live[stage] = [c for c in live[stage] if c != commit] + [commit]
        repository.tag(f"churn#{stage}{'!' if away else ''}#{n}", commit, when=when + timedelta(hours=n))
    ours = resolve.resolve(tags.read(repository.git, "churn").tags)
    said = gto_show(str(repository.folder))["churn"]["stage"]
    theirs = {stage: version for stage, version in said.items() if version}
    assert {stage: a.version for stage, a in ours.stages.items()} == theirs
