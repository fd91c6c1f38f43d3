"""Tracing what is no longer there: inputs, tags, models, the log itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from api.predictions import LogError, LogUnavailable
from mlops import production
from mlops.errors import RegistryError
from mlops.registry import logged
from mlops.registry.trace import trace
from tests.registry.predicted import registry_of, rows, some
from tests.registry.repository import Bundles, Repository
from tests.registry.traced import change, commit_of, log
from tests.service.conftest import EXAMPLE

pytestmark = pytest.mark.slow


def test_inputs_that_were_not_kept_are_said_to_be_gone(promoted: Repository, bundles: Bundles) -> None:
    commit = commit_of(promoted, "v1.0.0")
    url = log(promoted, rows(bundles["v1"], "r-1", some(3), version="v1.0.0", commit=commit))
    registry = registry_of(promoted)
    for kept, said in (("{}", "keeps no inputs of row 1"), ("[]", "keeps no inputs of row 1"), ("not JSON", "keeps no"),
                       ('{"minutes": 3}', "of row 1 in the log lack sessions")):  # fmt: skip
        change(url, "UPDATE predictions SET inputs = ? WHERE row = 1", kept)
        found = trace(registry, url, "r-1")
        assert found["identical"] is False
        assert said in found["traces"][0]["problem"]
        assert found["traces"][0]["commit"] == commit  # what is known is told all the same
        assert [p["identical"] for p in found["traces"][0]["predictions"]] == [True, None, True]
        assert trace(registry, url, "r-1", row=2)["identical"] is True
    change(url, "UPDATE predictions SET inputs = ?", json.dumps({**EXAMPLE, "sessions": "three"}))
    assert "sessions of row 0 in the log is 'three'; a number" in trace(registry, url, "r-1")["traces"][0]["problem"]
    change(url, "UPDATE predictions SET inputs = '{}'")
    assert {p["identical"] for p in trace(registry, url, "r-1")["traces"][0]["predictions"]} == {None}


def test_what_was_never_promoted_is_traced_while_it_is_there(promoted: Repository, bundles: Bundles) -> None:
    serving = promoted.folder / "models" / "serving"
    version = f"unpromoted-{production.manifest_digest(serving)[:8]}"
    url = log(promoted, rows(serving, "r-1", some(2), version=version, commit=None))
    registry = registry_of(promoted)
    found = trace(registry, url, "r-1")
    assert found["identical"] is True
    assert "was never promoted" in found["traces"][0]["notes"][0]
    assert found["traces"][0]["tag"] is None

    shutil.rmtree(serving)
    shutil.copytree(bundles["v4"], serving)
    problem = trace(registry, url, "r-1")["traces"][0]["problem"]
    assert f"holds another model by now ({production.manifest_digest(serving)[:8]}" in problem
    shutil.rmtree(serving)
    assert "holds no model" in trace(registry, url, "r-1")["traces"][0]["problem"]


def test_tags_that_were_deleted_or_moved_are_noticed(promoted: Repository, bundles: Bundles) -> None:
    commit = commit_of(promoted, "v1.0.0")
    url = log(promoted, rows(bundles["v1"], "r-1", [EXAMPLE], version="v1.0.0", commit=commit))
    promoted.git.raw("tag", "--delete", "churn#prod#1")
    (told,) = trace(registry_of(promoted), url, "r-1")["traces"]
    assert told["tag"] == "churn@v1.0.0"
    assert told["notes"] == ["no tag gives v1.0.0 to prod: who decided that is not known"]

    promoted.git.raw("tag", "--force", "--annotate", "--message=moved", "churn@v1.0.0", commit_of(promoted, "v1.1.0"))
    found = trace(registry_of(promoted), url, "r-1")
    (told,) = found["traces"]
    assert found["identical"] is True
    assert "the tag was moved" in told["notes"][0]
    assert told["commit"] == commit

    promoted.git.raw("tag", "--delete", "churn@v1.0.0")
    found = trace(registry_of(promoted), url, "r-1")
    (told,) = found["traces"]
    assert found["identical"] is True  # the commit is here, and names its model
    assert "there is no tag churn@v1.0.0 that can be followed" in told["notes"][0]
    assert (told["tag"], told["by"]) == (None, None)
    assert told["params"]["max_depth"] == 3


def test_a_version_assigned_without_a_name_is_known_by_its_commit(promoted: Repository, bundles: Bundles) -> None:
    commit = promoted.version(bundles["v4"])
    promoted.tag("churn#prod#4", commit)
    url = log(promoted, rows(bundles["v4"], "r-1", [EXAMPLE], version=f"g{commit[:12]}", commit=commit))
    found = trace(registry_of(promoted), url, "r-1")
    assert found["identical"] is True
    assert found["traces"][0]["tag"] == "churn#prod#4"
    assert found["traces"][0]["notes"] == []


def test_a_model_that_is_nowhere_and_a_commit_that_is_elsewhere(promoted: Repository, bundles: Bundles) -> None:
    commit = commit_of(promoted, "v1.0.0")
    url = log(promoted, rows(bundles["v1"], "r-1", [EXAMPLE], version="v1.0.0", commit=commit))
    shutil.rmtree(promoted.cache)
    found = trace(registry_of(promoted), url, "r-1")
    assert found["identical"] is False
    assert "models/serving" in found["traces"][0]["problem"]
    assert "DVC's cache" in found["traces"][0]["problem"]
    assert found["traces"][0]["why"] == "the first"

    url = log(promoted, rows(bundles["v1"], "r-2", [EXAMPLE], version="v9.0.0", commit="ab" * 20))
    (told,) = trace(registry_of(promoted), url, "r-2")["traces"]
    assert told["problem"].startswith("commit abababab is not in this clone; `git fetch --tags`")
    url = log(promoted, rows(bundles["v1"], "r-3", [EXAMPLE], version="v9.0.0", commit=None))
    (told,) = trace(registry_of(promoted), url, "r-3")["traces"]
    assert "neither the log nor a tag names the commit of v9.0.0" in told["problem"]


def test_an_unknown_request_says_how_far_the_log_goes_back(
    promoted: Repository, bundles: Bundles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, commit = registry_of(promoted), commit_of(promoted, "v1.0.0")
    url = log(promoted)
    with pytest.raises(RegistryError, match="no prediction of request 'r-9': it is empty"):
        trace(registry, url, "r-9")
    log(promoted, rows(bundles["v1"], "r-1", [EXAMPLE], version="v1.0.0", commit=commit))
    with pytest.raises(RegistryError, match="it goes back to 2026-03-15"):
        trace(registry, url, "r-9")
    with pytest.raises(RegistryError, match="it goes back to"):
        trace(registry, url, "r-\udcff")
    with pytest.raises(RegistryError, match="MLOPS_LOG is off"):
        trace(registry, "off", "r-1")
    with pytest.raises(LogError, match="does not exist"):
        trace(registry, f"sqlite:///{tmp_path}/nothing.sqlite", "r-1")
    (tmp_path / "text").write_text("no database " * 1000)
    with pytest.raises(LogUnavailable, match="cannot be read"):
        trace(registry, f"sqlite:///{tmp_path}/text", "r-1")
    with pytest.raises(LogUnavailable, match="cannot be read") as caught:
        trace(registry, "postgresql://ada:secret@127.0.0.1:1/nothing", "r-1")
    assert "secret" not in str(caught.value)


def test_the_log_is_where_the_service_writes(promoted: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLOPS_LOG", raising=False)
    assert logged.address(promoted.folder, None) == f"sqlite:///{promoted.folder}/data/log/predictions.sqlite"
    monkeypatch.setenv("MLOPS_LOG", "off")
    assert logged.address(promoted.folder, None) == "off"
    assert logged.address(promoted.folder, "sqlite:///x") == "sqlite:///x"
