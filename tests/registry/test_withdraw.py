"""Going back, taking away, archiving: always a new tag."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlops import policy
from mlops.errors import RegistryError
from mlops.registry import facts
from mlops.registry.look import Registry
from mlops.registry.withdraw import archive, rollback, unassign
from tests.registry.repository import Bundles, Repository


def registry(repository: Repository) -> Registry:
    return Registry(repository.git, policy.load(repository.folder / "policy.yaml"))


@pytest.fixture
def four(repository: Repository, bundles: Bundles) -> Repository:
    """v1.0.0 to v1.3.0, one after the other in prod; by plain tags, as anybody may make them."""
    for number in range(1, 5):
        commit = repository.version(bundles[f"v{number}"])
        repository.tag(f"churn@v1.{number - 1}.0", commit)
        repository.tag(f"churn#prod#{number}", commit)
    return repository


def serves(repository: Repository, stage: str = "prod") -> str | None:
    found = registry(repository).picture.stages.get(stage)
    return found.version if found else None


def test_a_rollback_is_a_new_tag_and_the_next_one_goes_further_back(four: Repository) -> None:
    before = four.git.text("for-each-ref", "refs/tags")
    done = rollback(registry(four), None, None, "pages at night")
    assert (done.before, done.after, done.tag) == ("v1.3.0", "v1.2.0", "churn#prod#5")
    assert before in four.git.text("for-each-ref", "refs/tags", "--sort=creatordate") or len(before.splitlines()) == 8
    said = facts.parse(four.git.text("cat-file", "tag", "churn#prod#5"))
    assert said is not None
    assert (said["action"], said["from"], said["why"]) == ("rollback", "v1.3.0", "pages at night")
    assert [rollback(registry(four), None, None, None).after for _ in range(2)] == ["v1.1.0", "v1.0.0"]
    with pytest.raises(RegistryError, match=r"nothing before v1\.0\.0"):
        rollback(registry(four), None, None, None)


def test_after_a_rollback_the_new_promotion_is_what_the_next_one_leaves(four: Repository, bundles: Bundles) -> None:
    rollback(registry(four), None, None, None)
    commit = four.version(bundles["v1"], message="A better one")
    four.tag("churn@v1.4.0", commit)
    four.tag("churn#prod#6", commit)
    assert rollback(registry(four), None, None, None).after == "v1.2.0"


@pytest.mark.parametrize(
    ("to", "said"),
    [
        ("v1.3.0", "serves v1.3.0 already"),
        ("v9.0.0", "never served v9.0.0"),
        ("v1.0.1", r"never served v1.0.1; did you mean v1.0.0\?"),
    ],
)
def test_where_nobody_can_go_back_to(four: Repository, to: str, said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        rollback(registry(four), None, to, None)


def test_back_to_a_named_version(four: Repository) -> None:
    assert rollback(registry(four), None, "1.0.0", None).after == "v1.0.0"
    assert serves(four) == "v1.0.0"


def test_archived_versions_are_passed_over(four: Repository) -> None:
    done = archive(registry(four), "v1.2.0", "leaks", force=False)
    assert done.tag == "churn@v1.2.0!#5", "numbered: no clock decides when"
    assert rollback(registry(four), None, None, None).after == "v1.1.0"
    with pytest.raises(RegistryError, match="archived, for good"):
        rollback(registry(four), None, "v1.2.0", None)
    with pytest.raises(RegistryError, match="is archived since"):
        archive(registry(four), "v1.2.0", None, force=False)


def test_a_version_that_serves_is_archived_only_by_force(four: Repository) -> None:
    with pytest.raises(RegistryError, match=r"v1.3.0 serves prod; `mlops rollback"):
        archive(registry(four), "v1.3.0", None, force=False)
    archive(registry(four), "v1.3.0", None, force=True)
    assert serves(four) == "v1.2.0"


def test_an_archived_commit_needs_a_new_version(four: Repository) -> None:
    from mlops.registry import numbering

    archive(registry(four), "v1.0.0", None, force=False)
    found = registry(four)
    commit = found.picture.versions["v1.0.0"].commit
    with pytest.raises(RegistryError, match="archived since"):
        numbering.choose(found, commit, None, "minor")
    assert numbering.choose(found, commit, "v1.4.0", "minor") == "v1.4.0"


def test_unassigning_brings_back_and_in_the_end_empties(four: Repository) -> None:
    assert unassign(registry(four), "prod", None).after == "v1.2.0"
    for _ in range(3):
        last = unassign(registry(four), "prod", "not needed")
    assert last.after is None
    with pytest.raises(RegistryError, match="serves nothing"):
        unassign(registry(four), "prod", None)


def test_no_stage_goes_back_to_a_model_that_is_nowhere(four: Repository) -> None:
    commit = registry(four).picture.versions["v1.2.0"].commit
    text = four.git.text("show", f"{commit}:dvc.lock")
    md5 = text.split("models/serving")[1].split("md5: ")[1].splitlines()[0] if "models/serving" in text else ""
    for stage in text.split("path: models/serving")[1:]:
        md5 = next(line.split("md5: ")[1] for line in stage.splitlines() if line.strip().startswith("md5: "))
    four.object(md5).unlink()
    with pytest.raises(RegistryError, match=r"model of v1\.2\.0 .* neither in DVC's cache nor in the remote"):
        rollback(registry(four), None, None, None)
    assert serves(four) == "v1.3.0"


def test_a_rollback_does_not_bring_back_what_was_taken_away(four: Repository) -> None:
    unassign(registry(four), "prod", "leaks")
    assert serves(four) == "v1.2.0"
    assert rollback(registry(four), None, None, None).after == "v1.1.0"


def test_what_is_archived_in_the_same_moment_is_no_target(four: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's archiving arrives between the first look and the publication."""
    from mlops.registry import changes

    real = changes.Change.publish

    def late(self: changes.Change, plan: Any) -> Any:
        monkeypatch.setattr(changes.Change, "publish", real)
        archive(registry(four), "v1.2.0", None, force=False)
        self.registry.refresh()
        return real(self, plan)

    monkeypatch.setattr(changes.Change, "publish", late)
    assert rollback(registry(four), None, None, None).after == "v1.1.0"
    assert serves(four) == "v1.1.0"


def test_history_keeps_the_name_under_which_a_commit_ran(four: Repository) -> None:
    from mlops.registry import show

    archive(registry(four), "v1.3.0", None, force=True)
    later = datetime.now(UTC) + timedelta(seconds=5)
    four.tag("churn@v2.0.0", registry(four).picture.versions["v1.3.0"].commit, when=later)
    found = {e["tag"]: e["version"] for e in show.history(registry(four), "prod", None)}
    assert found["churn#prod#4"] == "v1.3.0"
