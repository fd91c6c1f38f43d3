"""Put the model that an image shall serve into it: `python bake.py SOURCE TARGET [DIGEST]`, run by api/Dockerfile.

SOURCE is models/ or a copy of it. The versions that production/state.json names are taken, or serving/ where nothing is
promoted. Each is loaded first, which checks every digest: a broken model ends the build. DIGEST, where given, must be
the sha256 of the main model's manifest, so that the image's label cannot name another model. Without TARGET, that
digest is printed, and nothing is copied.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from mlops import bundle, production
from mlops.errors import BundleError, guarded

MAIN_STAGE = "prod"


def served(source: Path) -> list[Path]:
    """Folders of the models that the service would load from source, the main one first.

    Raises:
        BundleError: there is none.
    """
    root = source / "production"
    state = production.read_state(root)
    if state is None:
        if not (source / "serving" / bundle.MANIFEST).exists():
            raise BundleError(f"{source} holds no model for the image; run `make` first, or pass MODEL=none")
        return [source / "serving"]
    stages = sorted(state.stages, key=lambda stage: stage != MAIN_STAGE)
    return [production.folder(root, stage, state.stages[stage]) for stage in stages]


def bake(source: Path, target: Path, digest: str) -> None:
    """Copy what is served from source to target, checked.

    Raises:
        BundleError: there is no model, it is broken, or it is not the one that digest names.
    """
    folders = served(source)
    found = production.manifest_digest(folders[0])
    if digest and digest != found:
        raise BundleError(f"the model is {found}, MODEL_DIGEST says {digest}; `make image` passes the right one")
    for folder in folders:
        bundle.load(folder)
        shutil.copytree(folder, target / folder.relative_to(source))
    state = source / "production" / production.STATE
    if state.exists():
        shutil.copy2(state, target / "production")


def main() -> None:
    """What Dockerfile and Makefile call."""
    source, *rest = sys.argv[1:]
    if rest:
        bake(Path(source), Path(rest[0]), "".join(rest[1:]))
    else:
        print(production.manifest_digest(served(Path(source))[0]))


if __name__ == "__main__":
    sys.exit(guarded(main))
