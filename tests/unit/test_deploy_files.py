"""The container, compose and Kubernetes files: valid, hardened, and in step with the service."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api import settings
from api.routes.about import ROUTES

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILES = [ROOT / "api" / "Dockerfile", DEPLOY / "project" / "Dockerfile", DEPLOY / "trackers" / "Dockerfile"]
MANIFESTS = sorted(p for p in (DEPLOY / "k8s").glob("*.yaml") if p.name != "kustomization.yaml")
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
DOCS = (ROOT / "docs" / "deploy.md").read_text()


def tool(name: str, *arguments: str | Path) -> str:
    """Run a program of this environment; it has to succeed."""
    done = subprocess.run([Path(sys.executable).parent / name, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def objects() -> Iterator[dict[str, Any]]:
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text())


def of_kind(kind: str, name: str = "churn-api") -> dict[str, Any]:
    (found,) = [o for o in objects() if o["kind"] == kind and o["metadata"]["name"] == name]
    return found


def pods() -> list[dict[str, Any]]:
    batch = of_kind("CronJob", "churn-batch")["spec"]["jobTemplate"]["spec"]["template"]
    return [of_kind("Deployment")["spec"]["template"], batch]


def environment_of(dockerfile: Path) -> dict[str, str]:
    return dict(re.findall(r"\b(MLOPS_[A-Z_]+)=(\S+)", dockerfile.read_text()))


def imported(module: str, seen: set[Path]) -> set[Path]:
    """Files of the library that importing a module of it imports at run time."""
    source = ROOT / "src" / Path(*module.split("."))
    for path in (source.with_suffix(".py"), source / "__init__.py"):
        if path.exists() and path not in seen:
            seen.add(path)
            for name in library_imports(path):
                imported(name, seen)
    return seen


def library_imports(path: Path) -> Iterator[str]:
    waiting: list[ast.AST] = [ast.parse(path.read_text())]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        waiting.extend(ast.iter_child_nodes(node))
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{a.name}" for a in node.names)]
        yield from (name for name in names if name.partition(".")[0] == "mlops")


def test_the_image_holds_the_modules_that_the_service_imports_and_no_others() -> None:
    needed: set[Path] = set()
    for source in (ROOT / "api").rglob("*.py"):
        for name in library_imports(source):
            imported(name, needed)
    copied = re.findall(r"src/(mlops/[\w/]+\.py)", DOCKERFILES[0].read_text())
    assert sorted(copied) == sorted(str(p.relative_to(ROOT / "src")) for p in needed)


def test_the_image_installs_no_training_library() -> None:
    for lock in ("requirements.txt", "requirements-parquet.txt"):
        locked = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "api" / lock).read_text(), re.M))
        assert not locked & {"pandas", "scikit-learn", "scipy", "xgboost", "xgboost-cpu", "dvc", "onnx", "pyyaml"}
        assert ("pyarrow" in locked) == ("parquet" in lock)


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda p: p.parent.name)
def test_dockerfiles_pass_the_linter(path: Path) -> None:
    tool("hadolint", "--failure-threshold", "info", path)
    shown = {line for line in Path(f"{path}.dockerignore").read_text().splitlines() if line[:1] not in ("#", "")}
    assert "*" in shown, "everything else would be sent to the builder"


def test_what_the_dockerfiles_copy_is_let_through() -> None:
    for path in DOCKERFILES:
        allowed = re.findall(r"^!(\S+)", Path(f"{path}.dockerignore").read_text(), re.M)
        for sources in re.findall(r"^COPY (?!--from)((?:.|\\\n)+?) \S+$", path.read_text(), re.M):
            for source in sources.replace("\\\n", " ").split():
                assert any(source.startswith(a) or a.startswith(f"{source}/") for a in allowed), source
                assert (ROOT / source).exists(), source


def test_settings_in_every_file_are_settings_of_the_service() -> None:
    read = [environment_of(path) for path in DOCKERFILES]
    config = of_kind("ConfigMap")["data"]
    compose = {k: re.sub(r"\$\{\w+:-(.*)\}", r"\1", v) for k, v in COMPOSE["services"]["api"]["environment"].items()}
    container = of_kind("Deployment")["spec"]["template"]["spec"]["containers"][0]
    read += [config | {"MLOPS_API_KEYS_FILE": ""}, compose, {e["name"]: "off" for e in container["env"]}]
    assert sum(map(bool, read)) >= 4
    for given in read:
        settings.load(given)
    (mount,) = [m for m in container["volumeMounts"] if m["name"] == "keys"]
    assert config["MLOPS_API_KEYS_FILE"].startswith(mount["mountPath"] + "/")


def test_compose_is_valid_and_listens_on_this_machine_only() -> None:
    tool("check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")
    for name, service in COMPOSE["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["restart"] == "unless-stopped"
        assert {"mem_limit", "pids_limit"} <= set(service)
        assert "healthcheck" in service or name == "api"  # whose image brings its own
        assert all(re.match(r"127\.0\.0\.1:", port) for port in service["ports"])
        for volume in service["volumes"]:
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).exists(), volume
    assert [name for name, s in COMPOSE["services"].items() if s.get("profiles") == ["dev"]] == ["jupyter"]


def test_no_secret_is_written_down() -> None:
    given = [pair for service in COMPOSE["services"].values() for pair in service.get("environment", {}).items()]
    given += list(of_kind("ConfigMap")["data"].items())
    given += [
        (e["name"], e.get("value", "")) for t in pods() for c in t["spec"]["containers"] for e in c.get("env", ())
    ]
    for name, value in given:
        if re.search("PASSWORD|TOKEN|SECRET|KEYS?$", name):
            assert not value or value.startswith("${"), f"{name}: {value}"
    assert not [o for o in objects() if o["kind"] == "Secret"]
    for path in [DEPLOY / "compose.yaml", *DOCKERFILES]:
        assert not re.search(r"\.(token|password)\b", path.read_text()), "Jupyter makes its own token"
    grafana = COMPOSE["services"]["grafana"]["environment"]
    assert grafana["GF_SECURITY_ADMIN_PASSWORD"].startswith("${GRAFANA_PASSWORD:?")
    assert grafana["GF_AUTH_ANONYMOUS_ENABLED"] == "false"


def test_compose_asks_for_the_password_and_takes_it() -> None:
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("no docker-compose here; Debian: apt-get install docker-compose")
    for password, code in (("", 1), ("chosen", 0)):
        done = subprocess.run(
            [program, "-f", DEPLOY / "compose.yaml", "--profile", "dev", "config", "-q"],
            env={"PATH": "/usr/bin:/bin", "GRAFANA_PASSWORD": password}, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
    assert "GRAFANA_PASSWORD" in DOCS


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda p: p.stem)
def test_manifests_follow_kubernetes_schemas(path: Path) -> None:
    tool("kubernetes-validate", "--strict", "-k", "1.37", path)


def test_every_manifest_is_applied() -> None:
    kustomization = yaml.safe_load((DEPLOY / "k8s" / "kustomization.yaml").read_text())
    assert sorted(kustomization["resources"]) == [p.name for p in MANIFESTS]
    if shutil.which("kubectl"):
        built = subprocess.run(["kubectl", "kustomize", DEPLOY / "k8s"], capture_output=True, text=True, check=True)
        images = re.findall(r"image: (\S+)", built.stdout)
        assert len(images) == 3
        assert all("/" in image and re.search(r":[^:]+$", image) for image in images), images


@pytest.mark.parametrize("template", pods(), ids=["api", "batch"])
def test_pods_keep_the_restricted_standard(template: dict[str, Any]) -> None:
    pod = template["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False  # a Service called mlops would otherwise look like settings of ours
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in [*pod["containers"], *pod.get("initContainers", [])]:
        context = container["securityContext"]
        assert context["readOnlyRootFilesystem"] is True
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"] == {"drop": ["ALL"]}
        for amounts in ("requests", "limits"):
            assert set(container["resources"][amounts]) == {"cpu", "memory", "ephemeral-storage"}


def test_kubernetes_objects_fit_together_and_fit_the_service() -> None:
    deployment = of_kind("Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    (container,) = deployment["template"]["spec"]["containers"]
    chosen = [
        deployment["selector"]["matchLabels"],
        of_kind("Service")["spec"]["selector"],
        of_kind("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        of_kind("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        deployment["template"]["spec"]["topologySpreadConstraints"][0]["labelSelector"]["matchLabels"],
    ]
    assert all(selector == labels for selector in chosen)
    assert of_kind("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "churn-api"
    open_routes = {route.path for route in ROUTES if route.open}
    assert {container[f"{p}Probe"]["httpGet"]["path"] for p in ("startup", "liveness", "readiness")} <= open_routes
    assert deployment["template"]["metadata"]["annotations"]["prometheus.io/path"] in open_routes
    port = int(environment_of(DOCKERFILES[0])["MLOPS_PORT"])
    assert container["ports"] == [{"name": "http", "containerPort": port}]
    assert of_kind("NetworkPolicy")["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]
    drain = int(of_kind("ConfigMap")["data"]["MLOPS_DRAIN_SECONDS"])
    waits = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    # The log is written within another drain time once all requests are answered.
    assert deployment["template"]["spec"]["terminationGracePeriodSeconds"] >= waits + 2 * drain
