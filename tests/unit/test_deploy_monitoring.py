"""The alerts and the dashboard: what they name exists in the service, and what fires says what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from api.metrics.families import FAMILIES

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
RULES: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text())
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "churn-service.json").read_text())
DOCS = (ROOT / "docs" / "deploy.md").read_text()
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
SELECTOR = re.compile(r"\b((?:churn|process)_[a-z0-9_]+)(?:\{([^}]*)\})?")


def expressions() -> Iterator[tuple[str, str]]:
    """Every PromQL expression of the rules and the dashboard, with what it belongs to."""
    for group in RULES["groups"]:
        yield from ((rule.get("alert") or rule["record"], rule["expr"]) for rule in group["rules"])
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", ()))
    yield from ((note["name"], note["expr"]) for note in DASHBOARD["annotations"]["list"])
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]


def family_of(metric: str) -> str:
    shorter = re.sub(r"_(bucket|sum|count)$", "", metric)
    return shorter if shorter in FAMILIES and FAMILIES[shorter].kind == "histogram" else metric


def test_expressions_name_metrics_and_labels_that_the_service_has() -> None:
    named_metrics = [(owner, *found) for owner, expression in expressions() for found in SELECTOR.findall(expression)]
    assert len(named_metrics) > 60
    for owner, metric, matchers in named_metrics:
        family = family_of(metric)
        assert family in FAMILIES, f"{owner}: no metric {metric}"
        assert family != metric or FAMILIES[family].kind != "histogram", f"{owner}: {metric} is a histogram"
        named = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))
        assert named <= {*FAMILIES[family].labels, "job", "instance", "le"}, f"{owner}: {metric}{{{matchers}}}"


def test_every_metric_is_on_the_dashboard() -> None:
    shown = {
        family_of(m) for p in DASHBOARD["panels"] for t in p.get("targets", ()) for m, _ in SELECTOR.findall(t["expr"])
    }
    assert set(FAMILIES) - shown == {"process_start_time_seconds"}  # churn_uptime_seconds says the same


def test_the_dashboard_is_one_that_grafana_loads() -> None:
    assert DASHBOARD["schemaVersion"] >= 39
    assert DASHBOARD["uid"] == "churn-service"
    assert DASHBOARD["id"] is None
    panels = DASHBOARD["panels"]
    assert len({p["id"] for p in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, f"{panel['title']} overlaps"
        taken |= cells
        if panel["type"] == "row":
            continue
        assert panel["description"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert len({t["refId"] for t in panel["targets"]}) == len(panel["targets"])
        if panel["type"] in ("timeseries", "stat"):
            assert panel["fieldConfig"]["defaults"]["unit"]
    variables = {v["name"] for v in DASHBOARD["templating"]["list"]}
    used = {v for _, e in expressions() for v in re.findall(r"\$(\w+)", e)}
    assert used <= variables | {"__rate_interval", "__range"}
    provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert [d["type"] for d in provisioned["datasources"]] == ["prometheus"]
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/churn.yaml").read_text())["providers"][0]
    mounted = dict(v.split(":")[:2] for v in COMPOSE["services"]["grafana"]["volumes"])
    assert provider["options"]["path"] == mounted["./grafana/dashboards"]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda a: a["alert"])
def test_every_alert_says_what_to_do_and_is_tested(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in ("critical", "warning", "info")
    assert set(alert["annotations"]) == {"summary", "description", "runbook"}
    page, _, anchor = alert["annotations"]["runbook"].partition("#")
    assert page == "docs/deploy.md"
    assert anchor in {heading.lower() for heading in re.findall(r"^#+ (\w+)$", DOCS, re.M)}
    tests = yaml.safe_load((DEPLOY / "prometheus" / "rules_test.yml").read_text())["tests"]
    cases = [c for t in tests for c in t.get("alert_rule_test", ()) if c["alertname"] == alert["alert"]]
    assert {bool(case.get("exp_alerts")) for case in cases} == {True, False}
