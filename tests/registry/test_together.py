"""Several people, one shared repository, connections that break: one wins, the others know, nothing is half done."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlops import policy
from mlops.errors import RegistryError
from mlops.git import Git
from mlops.registry import show
from mlops.registry.changes import Change, Draft, Plan
from mlops.registry.look import Registry
from mlops.registry.promote import Request, promote
from mlops.registry.remote import PENDING, SEQUENCE
from mlops.registry.withdraw import rollback
from tests.registry.repository import Bundles, Repository, predictions

pytestmark = pytest.mark.slow

GOOD, BETTER, BEST = (predictions(3000, 1500, strength=s) for s in (0.6, 0.8, 0.95))


def registry(repository: Repository) -> Registry:
    return Registry(repository.git, policy.load(repository.folder / "policy.yaml"))


def refs(folder: Path) -> dict[str, str]:
    lines = (
        Git(folder).text("for-each-ref", "--format=%(refname) %(objectname)", "refs/tags", "refs/mlops").splitlines()
    )
    return dict(line.split(" ") for line in lines)


@pytest.fixture
def two(repository: Repository, bundles: Bundles) -> tuple[Repository, Repository, Path]:
    """Two clones that both have a first version in prod, and what they share."""
    text = (repository.folder / "policy.yaml").read_text()
    repository.write("policy.yaml", text.replace("resamples: 2000", "resamples: 400"))
    repository.version(bundles["v1"], GOOD)
    promote(registry(repository), Request())
    shared = repository.bare()
    return repository, repository.clone("bob", cache=True), shared


def test_a_promotion_is_seen_by_others_at_once(two: tuple[Repository, Repository, Path], bundles: Bundles) -> None:
    ada, bob, shared = two
    commit = ada.version(bundles["v2"], BETTER)
    promote(registry(ada), Request())
    assert "refs/tags/churn#prod#2" in refs(shared)
    assert refs(shared)[f"{SEQUENCE}churn"] == refs(shared)["refs/tags/churn#prod#2"]
    assert registry(bob).picture.stages["prod"].version == "v1.0.0", "a look does not fetch"
    Change(registry(bob))
    assert registry(bob).picture.stages["prod"].commit == commit


def test_who_is_late_is_told_who_was_faster(two: tuple[Repository, Repository, Path], bundles: Bundles) -> None:
    ada, bob, shared = two
    of_bob = registry(bob)
    late = Change(of_bob)
    relied = of_bob.picture.stages["prod"]
    ada.version(bundles["v2"], BETTER)
    promote(registry(ada), Request())
    before = refs(shared)
    mine = bob.commit("Mine")

    def plan(now: Registry) -> Plan:
        return Plan((Draft(f"churn#prod#{now.next_counter()}", mine, "mine"),), {"prod": relied})

    with pytest.raises(
        RegistryError, match=r"Ada Tester made prod serve v1\.1\.0 \(tag churn#prod#2\) meanwhile; .*v1\.0\.0"
    ):
        late.publish(plan)
    assert refs(shared) == before
    assert not [r for r in refs(bob.folder) if r.startswith(PENDING)]
    assert "refs/tags/churn#prod#2" in refs(bob.folder), "and has theirs now"


def test_another_stage_is_no_reason_to_give_up(two: tuple[Repository, Repository, Path], bundles: Bundles) -> None:
    ada, bob, shared = two
    of_bob = registry(bob)
    late = Change(of_bob)
    relied = of_bob.picture.stages["prod"]
    promote(registry(ada), Request(stage="staging"))

    def plan(now: Registry) -> Plan:
        return Plan((Draft(f"churn#prod#{now.next_counter()}", relied.commit, "again"),), {"prod": relied})

    (made,) = late.publish(plan)
    assert made.name == "churn#prod#3", "counted anew: staging had taken the 2"
    assert {"refs/tags/churn#staging#2", "refs/tags/churn#prod#3"} <= refs(shared).keys()


@pytest.mark.slow
def test_of_two_commands_at_once_exactly_one_wins(two: tuple[Repository, Repository, Path], bundles: Bundles) -> None:
    ada, bob, shared = two
    for turn in range(3):
        for number, who in enumerate((ada, bob)):
            who.version(bundles[f"v{number + 2}"], BETTER, message=f"{turn} of {who.folder.name}")
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "mlops.cli", "promote", "--force", "--why", "race"],
                cwd=who.folder, env=os.environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
            for who in (ada, bob)
        ]  # fmt: skip
        said = [p.communicate()[1] for p in running]
        codes = [p.returncode for p in running]
        assert sorted(codes) in ([0, 0], [0, 1]), said
        if sorted(codes) == [0, 1]:
            assert "meanwhile" in said[codes.index(1)]
        for who in (ada, bob):
            Change(registry(who))
            assert not [r for r in refs(who.folder) if r.startswith(PENDING)]
        assert registry(ada).picture.stages == registry(bob).picture.stages
    names = [r for r in refs(shared) if r.startswith("refs/tags/churn#")]
    counters = [name.rsplit("#", 1)[1] for name in names]
    assert len(set(counters)) == len(counters), "one number, one tag"


def broken_push(repository: Repository, arrives: bool) -> None:
    """From now on a push to origin loses the connection, before or after the shared repository took it."""
    fake = repository.folder.parent / "receive"
    work = 'git-receive-pack "$@"; ' if arrives else ""
    fake.write_text(f"#!/bin/sh\n{work}exit 128\n")
    fake.chmod(0o755)
    repository.git.raw("config", "remote.origin.receivepack", str(fake))


@pytest.mark.parametrize("arrives", [False, True])
def test_a_connection_lost_while_pushing_is_found_out_at_once(
    two: tuple[Repository, Repository, Path], bundles: Bundles, arrives: bool
) -> None:
    ada, _, shared = two
    ada.version(bundles["v2"], BETTER)
    broken_push(ada, arrives)
    if arrives:
        promote(registry(ada), Request())
    else:
        with pytest.raises(RegistryError, match="origin"):
            promote(registry(ada), Request())
    assert ("refs/tags/churn#prod#2" in refs(shared)) == arrives
    assert ("refs/tags/churn#prod#2" in refs(ada.folder)) == arrives
    assert not [r for r in refs(ada.folder) if r.startswith(PENDING)]


@pytest.mark.parametrize("arrives", [False, True])
def test_the_next_command_finishes_or_withdraws_what_was_cut_off(
    two: tuple[Repository, Repository, Path], bundles: Bundles, arrives: bool
) -> None:
    """The machine dies after the tag was made: before the push, or after it and before the tag was recorded here."""
    ada, _, _ = two
    commit = ada.version(bundles["v2"], BETTER)
    change = Change(registry(ada))
    made = change.remote.make({"churn#prod#2": (commit, "cut off")})
    if arrives:
        ada.git.raw("push", "--quiet", "origin", f"{made['churn#prod#2']}:refs/tags/churn#prod#2")
    assert "churn#prod#2 was made here" in show.unfinished(registry(ada))[0]
    assert registry(ada).picture.stages["prod"].version == "v1.0.0", "it does not count yet"
    after = Change(registry(ada))
    assert ("had been published" if arrives else "was never published and is withdrawn") in after.notes[0]
    assert not show.unfinished(registry(ada))
    assert (registry(ada).picture.stages["prod"].commit == commit) == arrives


def test_an_unreachable_remote_changes_nothing(two: tuple[Repository, Repository, Path], bundles: Bundles) -> None:
    ada, _, shared = two
    ada.version(bundles["v2"], BETTER)
    shared.rename(shared.with_name("elsewhere"))
    before = refs(ada.folder)
    with pytest.raises(RegistryError, match="origin cannot be reached"):
        promote(registry(ada), Request())
    assert refs(ada.folder) == before


def test_who_may_not_push_is_told_what_to_do(two: tuple[Repository, Repository, Path], bundles: Bundles) -> None:
    ada, _, shared = two
    ada.version(bundles["v2"], BETTER)
    hook = shared / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'you are not a maintainer' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = refs(ada.folder)
    with pytest.raises(RegistryError, match=r"registry\.remote: null"):
        promote(registry(ada), Request())
    assert refs(ada.folder) == before
    text = (ada.folder / "policy.yaml").read_text()
    ada.write("policy.yaml", text.replace("remote: origin", "remote: null"))
    ada.commit("Tags stay here")
    assert promote(registry(ada), Request("HEAD~1")).tags == ("churn@v1.1.0", "churn#prod#2")


def test_a_plain_tag_that_was_never_pushed_goes_along(
    two: tuple[Repository, Repository, Path], bundles: Bundles
) -> None:
    ada, _, shared = two
    commit = ada.version(bundles["v2"], BETTER)
    ada.tag("churn#dev#2", commit)
    ada.tag("churn#dev#3", commit, lightweight=True)
    done = promote(registry(ada), Request())
    assert any("churn#dev#2 was only in this clone" in note for note in done.notes)
    assert "refs/tags/churn#dev#2" in refs(shared)
    assert "refs/tags/churn#dev#3" not in refs(shared), "nobody follows a lightweight one: it stays here"


def test_a_tag_that_is_another_one_there_is_named(two: tuple[Repository, Repository, Path], bundles: Bundles) -> None:
    ada, bob, _ = two
    commit = ada.version(bundles["v2"], BETTER)
    bob.tag("churn#prod#2", bob.git.commit("HEAD"))
    bob.git.raw("push", "--quiet", "origin", "refs/tags/churn#prod#2")
    ada.tag("churn#prod#2", commit)
    with pytest.raises(RegistryError, match=r"tag churn#prod#2 is another one here than on origin.*git fetch"):
        promote(registry(ada), Request())


def test_a_rollback_of_what_somebody_just_replaced_is_refused(
    two: tuple[Repository, Repository, Path], bundles: Bundles
) -> None:
    ada, bob, _ = two
    ada.version(bundles["v2"], BETTER)
    promote(registry(ada), Request())
    back = rollback(registry(bob), None, None, None)
    assert (back.before, back.after) == ("v1.1.0", "v1.0.0"), "bob's clone knew nothing of v1.1.0 and asked first"


def test_a_shallow_clone_without_tags_asks_for_them(two: tuple[Repository, Repository, Path]) -> None:
    ada, _, shared = two
    place = ada.folder.with_name("shallow")
    Git(ada.folder.parent).raw("clone", "--quiet", "--depth=1", "--no-tags", f"file://{shared}", str(place))
    shallow = Repository(place)
    assert not registry(shallow).picture.stages
    Change(registry(shallow))
    assert registry(shallow).picture.stages["prod"].version == "v1.0.0"
