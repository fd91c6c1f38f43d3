"""Following the tags of another repository, or of one that is shared; and tags that are signed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlops import production
from mlops.errors import RegistryError
from mlops.registry import source
from mlops.registry.sync import Request, sync
from mlops.store.model import model
from mlops.store.objects import Store
from tests.registry.following import (
    STAGES,
    assign,
    local,
    models,
    serving,
    synced,
    trees,
)
from tests.registry.repository import Bundles, Repository

pytestmark = pytest.mark.slow


class TestFromAfar:
    """Another repository by its address: no clone, no history, no DVC cache of its own."""

    @pytest.fixture
    def away(self, repository: Repository, bundles: Bundles, tmp_path: Path) -> Path:
        """A bare repository with a promoted version, whose model is in remote storage."""
        repository.remote(tmp_path / "storage")
        repository.version(bundles["v4"])
        commit = repository.version(bundles["v1"])
        Store(repository.folder).push([model(repository.git, commit, "churn").out])
        assign(repository, "v1.0.0", commit, "prod")
        return repository.bare()

    @pytest.fixture
    def host(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A folder without anything, as a machine that serves has it."""
        (tmp_path / "host").mkdir()
        monkeypatch.chdir(tmp_path / "host")
        return tmp_path / "host" / "models" / "production"

    def test_by_digest_from_remote_storage(self, repository: Repository, away: Path, host: Path) -> None:
        where = source.elsewhere(str(away), host)
        assert sync(where, Request(host, STAGES)).code == 0
        assert serving(host) == {"prod": "v1.0.0"}
        assert trees(host) == 10
        commits = where.git.text("rev-list", "--all").splitlines()
        assert commits == [repository.git.commit("churn@v1.0.0")], "only what is tagged"
        assert sorted(path.name for path in host.iterdir()) == [".registry.git", ".sync.lock", "prod", "state.json"]
        assert not sync(source.elsewhere(str(away), host), Request(host, STAGES)).changed

    def test_a_working_tree_beside_lends_its_cache(
        self, repository: Repository, bundles: Bundles, host: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assign(repository, "v1.0.0", repository.version(bundles["v2"]), "prod")
        monkeypatch.chdir(repository.folder.parent)
        assert sync(source.elsewhere("project", host), Request(host, STAGES)).code == 0
        assert trees(host) == 20

    def test_new_tags_and_lost_ones(self, repository: Repository, away: Path, host: Path) -> None:
        where = source.elsewhere(str(away), host)
        sync(where, Request(host, STAGES))
        polled = where.poll()
        assert where.poll() == polled
        commit = repository.git.commit("churn@v1.0.0")
        repository.tag("churn#shadow#2", commit)
        repository.push()
        assert where.poll() != polled
        sync(where, Request(host, STAGES))
        assert serving(host) == {"prod": "v1.0.0", "shadow": "v1.0.0"}

        repository.git.raw("push", "--quiet", "origin", ":refs/tags/churn#shadow#2")
        report = sync(where, Request(host, STAGES))
        assert [note.partition(" from ")[0] for note in report.notes] == ["tag churn#shadow#2 is gone"]
        assert serving(host) == {"prod": "v1.0.0"}

    def test_a_tag_that_was_moved_is_refused(self, repository: Repository, away: Path, host: Path) -> None:
        where = source.elsewhere(str(away), host)
        sync(where, Request(host, STAGES))
        repository.git.raw("tag", "--force", "--annotate", "--message=x", "churn#prod#1", "HEAD~1")
        repository.git.raw("push", "--quiet", "--force", "origin", "refs/tags/churn#prod#1")
        with pytest.raises(RegistryError, match=r"tag churn#prod#1 was \w{12} and is \w{12} at .*never changed"):
            sync(where, Request(host, STAGES))
        assert serving(host) == {"prod": "v1.0.0"}

    def test_an_address_that_does_not_answer(self, away: Path, host: Path) -> None:
        sync(source.elsewhere(str(away), host), Request(host, STAGES))
        away.rename(away.with_name("gone"))
        where = source.elsewhere(f"file://ada:secret@{away}", host)
        for call in (where.poll, lambda: sync(where, Request(host, STAGES))):
            with pytest.raises(RegistryError, match="cannot be reached") as told:
                call()
            assert "secret" not in str(told.value)
        assert serving(host) == {"prod": "v1.0.0"}

    def test_the_policy_of_the_folder_holds(self, repository: Repository, away: Path, host: Path) -> None:
        policy = (repository.folder / "policy.yaml").read_text()
        (host.parents[1] / "policy.yaml").write_text(policy.replace("require_verdict: false", "require_verdict: true"))
        report = sync(source.elsewhere(str(away), host), Request(host, STAGES))
        assert not report.stages
        assert "NOT followed: it has no verdict" in report.notes[0]


def test_signed_tags(
    repository: Repository,
    bundles: Bundles,
    tmp_path: Path,
    keys: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A tag by a key that policy.yaml does not allow promotes nothing, here and from afar."""
    ada, eve = keys("ada"), keys("eve")
    commits = [repository.version(bundles[name]) for name in ("v1", "v2", "v3")]
    for number, (commit, key) in enumerate(zip(commits, (ada, eve, None), strict=True), 1):
        words = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={key}"] if key else []
        for name in (f"churn@v{number}.0.0", f"churn#prod#{number}"):
            repository.git.raw(*words, "tag", "--sign" if key else "--annotate", "--message=x", name, commit)
    text = (repository.folder / "policy.yaml").read_text()
    host = tmp_path / "host"
    host.mkdir()
    signers = f'ada@example.org namespaces="git" {ada.with_suffix(".pub").read_text()}'
    for folder in (repository.folder, host):
        (folder / "signers").write_text(signers)
        (folder / "policy.yaml").write_text(text.replace("allowed_signers: null", "allowed_signers: signers"))
    monkeypatch.chdir(host)

    near = synced(repository)
    far = sync(source.elsewhere(str(repository.folder), host / "models"), Request(host / "models", STAGES))

    for root, report in ((models(repository), near), (host / "models", far)):
        assert serving(root) == {"prod": "v1.0.0"}
        assert len([note for note in report.notes if "is not signed by a key of" in note]) == 4


class TestSharedRepository:
    """This clone follows what others publish."""

    def test_promotions_of_others(self, repository: Repository, bundles: Bundles) -> None:
        commit = repository.version(bundles["v1"])
        repository.bare()
        other = repository.clone("other", cache=True)
        assign(repository, "v1.0.0", commit, "prod")
        repository.push()
        polled = local(other).poll()
        assert synced(other).code == 0
        assert serving(models(other)) == {"prod": "v1.0.0"}
        assert local(other).poll() != polled, "it has the tags itself now"

    def test_without_the_network_what_is_here_counts(self, repository: Repository, bundles: Bundles) -> None:
        assign(repository, "v1.0.0", repository.version(bundles["v1"]), "prod")
        repository.bare().rename(repository.folder.with_name("gone"))
        report = synced(repository)
        assert report.code == 0
        assert serving(models(repository)) == {"prod": "v1.0.0"}
        assert len(report.notes) == 1
        assert "origin cannot be reached" in report.notes[0]
        assert "this is what the tags of this clone say" in report.notes[0]

    def test_a_tag_that_is_another_one_there(self, repository: Repository, bundles: Bundles) -> None:
        first, second = (repository.version(bundles[name]) for name in ("v1", "v2"))
        repository.bare()
        other = repository.clone("other", cache=True)
        assign(repository, "v1.0.0", first, "prod")
        repository.push()
        other.tag("churn#prod#1", second)
        with pytest.raises(RegistryError, match="tag churn#prod#1 is another one here than on origin"):
            synced(other)
        assert production.read_state(models(other)) is None
