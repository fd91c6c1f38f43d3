import json
from pathlib import Path

import pytest

from mlops import production
from mlops.errors import BundleError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "serving"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"format": 1}')
    (folder / "model.onnx").write_bytes(b"trees")
    return folder


def release(stage: str = "prod", version: str = "v1.0.0") -> dict[str, str]:
    return {"stage": stage, "version": version, "commit": "a" * 40}


def test_what_is_installed_is_what_is_read(tmp_path: Path, bundle: Path) -> None:
    root = tmp_path / "production"
    place = production.install(bundle, root, release())
    assert place == root / "prod" / "v1.0.0"
    assert (place / "model.onnx").read_bytes() == b"trees"
    read = production.read_release(place)
    assert read["commit"] == "a" * 40
    assert read["digests"]["manifest"] == production.manifest_digest(bundle)
    assert production.read_state(root) is None
    production.write_state(root, {"prod": "v1.0.0"}, {"canary": 0.1})
    assert production.read_state(root) == production.State({"prod": "v1.0.0"}, {"canary": 0.1})
    assert not list(root.rglob("*.new"))


def test_a_version_is_never_changed(tmp_path: Path, bundle: Path) -> None:
    production.install(bundle, tmp_path, release())
    assert production.install(bundle, tmp_path, release()) == tmp_path / "prod" / "v1.0.0"
    (bundle / "manifest.json").write_text('{"format": 1, "other": true}')
    with pytest.raises(BundleError, match="another model"):
        production.install(bundle, tmp_path, release())


def test_only_what_is_installed_can_be_served(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="not installed"):
        production.write_state(tmp_path, {"prod": "v9.0.0"})


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "x" * 101])
def test_names_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(BundleError, match="no name"):
        production.folder(tmp_path, "prod", name)


@pytest.mark.parametrize(
    "state",
    [
        b"",
        b"[]",
        b"{}",
        b'{"format": 2, "stages": {}}',
        b'{"format": 1, "stages": {"prod": {"version": "../x"}}}',
        b'{"format": 1, "stages": {"prod": "v1"}}',
        b'{"format": 1, "stages": {}, "weights": {"canary": 2}}',
        b'{"format": 1, "stages": {}, "weights": {"canary": true}}',
        b'{"format": 1, "stages": {}, "weights": {"canary": 0.6, "other": 0.6}}',
        b'{"format": 1, "stages": {}, "weights": {"canary": NaN}}',
    ],
)
def test_a_broken_state_is_refused(tmp_path: Path, state: bytes) -> None:
    (tmp_path / "state.json").write_bytes(state)
    with pytest.raises(BundleError):
        production.read_state(tmp_path)


def test_a_release_of_another_place_is_refused(tmp_path: Path, bundle: Path) -> None:
    place = production.install(bundle, tmp_path, release())
    moved = place.with_name("v2.0.0")
    place.rename(moved)
    with pytest.raises(BundleError, match="another stage or version"):
        production.read_release(moved)
    document = json.loads((moved / "release.json").read_text())
    (moved / "release.json").write_text(json.dumps({**document, "version": "v2.0.0", "digests": {}}))
    with pytest.raises(BundleError, match="lacks the manifest"):
        production.read_release(moved)
