"""A real Prometheus reads the real service: rules are right, alerts fire, every panel of the dashboard is answered."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlops import production
from tests.service.conftest import COMMIT, EXAMPLE, Versions, promote
from tests.service.server import PATIENCE, ROOT, Server, free_port

pytestmark = pytest.mark.slow
MONITORING = ROOT / "deploy" / "prometheus"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "dashboards" / "churn-service.json").read_text())
# What only exists after something went wrong, or where there is a canary, a shadow or a yesterday.
MAY_BE_EMPTY = re.compile(
    r"offset|lost|refused|rate_limited|errors_total|dropped|folded|failures|failing|unless|ALERTS"
)
CHOICES = {"instance": ".*", "variant": ".*", "feature": "minutes", "category": "plan [a,b]"}
WINDOWS = {"__rate_interval": "20s", "__range": "1m"}


def program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        message = f"no {name} here; Debian: apt-get install prometheus"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    return found


class Prometheus:
    """A server of its own that scrapes one service every second, with our rules but without their patience."""

    def __init__(self, folder: Path, target: int) -> None:
        rules = yaml.safe_load((MONITORING / "rules.yml").read_text())
        for rule in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
            rule["for"] = "1s"
        (folder / "rules.yml").write_text(yaml.safe_dump(rules))
        config = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        (job,) = [j for j in config["scrape_configs"] if j["job_name"] == "churn"]
        config["scrape_configs"] = [job | {"static_configs": [{"targets": [f"127.0.0.1:{target}"]}]}]
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.port, self.output = free_port(), folder / "prometheus.log"
        command = [program("prometheus"), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}", "--rules.alert.resend-delay=2s"]
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)

    def get(self, path: str, **query: str) -> Any:
        """The data of an API answer, which has to be a success."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            document = json.load(answer)
        assert document["status"] == "success"
        return document["data"]

    def firing(self) -> dict[str, dict[str, Any]]:
        alerts = self.get("alerts")["alerts"]
        return {a["labels"]["alertname"]: a for a in alerts if a["state"] == "firing"}

    def until(self, true: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                if true():
                    return
            except OSError:
                assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, f"{what} did not come:\n{self.output.read_text()}"
            time.sleep(0.2)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)


Watch = Callable[[Server], Prometheus]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    started: list[Prometheus] = []

    def begin(server: Server) -> Prometheus:
        (folder := tmp_path / "prometheus").mkdir()
        started.append(Prometheus(folder, server.port))
        return started[-1]

    yield begin
    for prometheus in started:
        prometheus.stop()


def traffic(server: Server) -> None:
    """Some of everything that panels show: predictions, missing and unknown values, refusals, feedback."""
    for i in range(40):
        record = {**EXAMPLE, "customer_id": f"C-{i}", "minutes": None if i % 4 == 0 else float(i)}
        record["region"] = "never seen" if i % 5 == 0 else EXAMPLE["region"]
        answer = server.post("/predict", record)
        assert answer.status == 200, answer.body
        assert server.post("/feedback", {"request_id": answer.json["request_id"], "churned": i % 3 == 0}).status == 200
    assert server.post("/predict", {**EXAMPLE, "minutes": "many"}).status == 422


def test_an_alert_fires_when_a_model_is_refused_and_another_when_the_service_is_gone(
    project: Path, versions: Versions, start: Callable[..., Server], watch: Watch
) -> None:
    promote(project, versions, prod="v1.0.0")
    server = start()
    traffic(server)
    prometheus = watch(server)
    prometheus.until(lambda: prometheus.get("query", query='up{job="churn"} == 1')["result"], "a scrape")
    prometheus.until(lambda: prometheus.get("query", query="churn:worker_starts:15m")["result"], "a recorded rule")
    prometheus.until(lambda: not alarms(prometheus), "quiet")  # before the first scrape the service counts as down

    root = project / "models" / "production"
    release = {"name": "churn", "version": "v2.0.0", "stage": "prod", "commit": COMMIT}
    (production.install(versions["v2.0.0"], root, release) / "model.onnx").write_bytes(b"no model")
    production.write_state(root, {"prod": "v2.0.0"})
    prometheus.until(lambda: alarms(prometheus) == {"ModelRefused"}, "ModelRefused")
    alert = prometheus.firing()["ModelRefused"]
    assert alert["labels"]["variant"] == "prod"
    assert alert["annotations"]["summary"].endswith("refuses the model that prod should serve")
    assert server.post("/predict", EXAMPLE).json["version"] == "v1.0.0"

    server.stop()
    prometheus.until(lambda: "ServiceDown" in prometheus.firing(), "ServiceDown")


def alarms(prometheus: Prometheus) -> set[str]:
    return {name for name, alert in prometheus.firing().items() if alert["labels"]["severity"] != "info"}


def filled(expression: str) -> str:
    for name, value in (*CHOICES.items(), *WINDOWS.items()):
        expression = re.sub(rf"\${name}\b", value, expression)
    assert "$" not in expression, expression
    return expression


def test_every_query_of_the_dashboard_has_an_answer(
    project: Path, versions: Versions, start: Callable[..., Server], watch: Watch
) -> None:
    promote(project, versions, prod="v1.0.0")
    server = start(workers=2)
    traffic(server)
    prometheus = watch(server)
    prometheus.until(lambda: len(samples(prometheus, "churn_workers")) >= 3, "three scrapes")
    traffic(server)
    seen = len(samples(prometheus, "churn_workers"))
    prometheus.until(lambda: len(samples(prometheus, "churn_workers")) >= seen + 3, "three more scrapes")
    queries = [(p["title"], t["expr"]) for p in DASHBOARD["panels"] for t in p.get("targets", ())]
    queries += [(note["name"], note["expr"]) for note in DASHBOARD["annotations"]["list"]]
    assert len(queries) > 40
    empty = [title for title, query in queries if not answered(prometheus, query) and not MAY_BE_EMPTY.search(query)]
    assert empty == []
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()  # type: ignore[union-attr]
            assert prometheus.get(f"label/{label}/values", **{"match[]": selector}), variable["name"]


def samples(prometheus: Prometheus, metric: str) -> list[Any]:
    result = prometheus.get("query", query=f"{metric}[1m]")["result"]
    return list(result[0]["values"]) if result else []


def answered(prometheus: Prometheus, query: str) -> bool:
    """Whether there is a number, over the range that a panel shows."""
    now = time.time()
    data = prometheus.get("query_range", query=filled(query), start=f"{now - 10}", end=f"{now}", step="1")
    return any(value != "NaN" for series in data["result"] for _, value in series["values"])


@pytest.mark.parametrize("command", [("check", "config", "prometheus.yml"), ("test", "rules", "rules_test.yml")])
def test_promtool_finds_no_fault(command: tuple[str, str, str]) -> None:
    done = subprocess.run([program("promtool"), *command], cwd=MONITORING, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
