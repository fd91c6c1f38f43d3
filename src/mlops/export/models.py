"""Registered versions as MLflow's model versions, stages as their aliases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops.export import choose, names
from mlops.export.address import Mlflow
from mlops.export.contents import MODEL
from mlops.registry import facts, moments, show
from mlops.registry.look import Registry
from mlops.registry.tags import DEPRECATE

VERSION, COMMIT, TAG, ORIGIN = (f"mlops.{word}" for word in ("version", "commit", "tag", "origin"))
ARCHIVED, DEPRECATED = "archived", "deprecated"
PAGE = 1000


@dataclass
class Changed:
    """What was done. new: versions; moved: alias → version, None where it was removed; left: versions without a run."""

    new: list[str] = field(default_factory=list)
    moved: dict[str, str | None] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


class Models:
    """The model of a registry on an MLflow server."""

    def __init__(self, mlflow: Mlflow, registry: Registry) -> None:
        self._client, self._registry, self._name = mlflow.client, registry, registry.name
        self._exceptions = __import__("mlflow.exceptions", fromlist=["MlflowException"])

    def write(self, runs: Mapping[str, str]) -> Changed:
        """Bring versions and aliases up to date. runs: commit → MLflow's run."""
        wanted, changed = choose.versions(self._registry), Changed()
        known = self._registered()
        if not wanted and known is None:
            return changed
        if known is None:
            self._client.create_registered_model(self._name, description="versions that Git's tags name")
        there = {v.tags[VERSION]: v for v in self._versions() if VERSION in v.tags}
        for name, (commit, _) in wanted.items():
            if name not in there and commit in runs:
                there[name] = self._create(name, commit, runs[commit])
                changed.new.append(name)
            elif name not in there:
                changed.left.append(name)
        self._retire(there)
        self._move(known or {}, there, changed)
        return changed

    def _registered(self) -> dict[str, str] | None:
        """Alias → version, None where the server has no such model."""
        try:
            found = self._client.get_registered_model(self._name)
        except self._exceptions.MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None
        return {alias: str(version) for alias, version in found.aliases.items()}

    def _versions(self) -> Iterator[Any]:
        token = None
        quoted = self._name.replace("'", "''")
        while True:
            page = self._client.search_model_versions(f"name='{quoted}'", max_results=PAGE, page_token=token)
            yield from page
            token = page.token
            if not token:
                return

    def _create(self, name: str, commit: str, run: str) -> Any:
        version = self._registry.picture.versions.get(name)
        tagged = next((t.object for t in self._registry.tags if version and t.name == version.tag), None)
        said = facts.of(self._registry.git, [tagged])[0] if tagged else {}
        tags = {VERSION: name, COMMIT: commit, TAG: version.tag if version else "", ORIGIN: said.get("origin", "")}
        return self._client.create_model_version(
            self._name, f"runs:/{run}/{MODEL}", run, tags={key: value for key, value in tags.items() if value},
            description=show.plain(said.get("why")) or name, await_creation_for=0,
        )  # fmt: skip

    def _retire(self, there: Mapping[str, Any]) -> None:
        """Say of versions that no stage may serve any more since when."""
        picture = self._registry.picture
        emptied = {event.at for event in picture.events if event.tag.kind == DEPRECATE}
        for version in picture.versions.values():
            known = there.get(version.name)
            if known is None or version.archived is None or ARCHIVED in known.tags:
                continue
            said = moments.iso(version.archived)
            for key in (ARCHIVED, *([DEPRECATED] if version.archived in emptied else [])):
                self._client.set_model_version_tag(self._name, known.version, key, said)

    def _move(self, known: Mapping[str, str], there: Mapping[str, Any], changed: Changed) -> None:
        """Aliases to what the stages serve. Those of others, and of others' versions, stay."""
        registry = self._registry
        ours = {str(version.version) for version in there.values()}
        stages = {*registry.policy.registry.stages, *(t.stage for t in registry.tags if t.stage)}
        for stage in sorted(stages):
            alias, assignment = names.alias(stage), registry.picture.stages.get(stage)
            version = there.get(assignment.version) if assignment else None
            if version is not None and known.get(alias) != str(version.version):
                self._client.set_registered_model_alias(self._name, alias, str(version.version))
                changed.moved[alias] = assignment.version if assignment else None
            elif version is None and known.get(alias) in ours:
                self._client.delete_registered_model_alias(self._name, alias)
                changed.moved[alias] = None
