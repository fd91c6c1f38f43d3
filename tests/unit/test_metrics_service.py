"""One worker's metrics: what is counted is what is shown, in the format that Prometheus reads."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.metrics import Meters, register
from api.metrics.cells import BLOCK
from api.metrics.families import FAMILIES
from api.metrics.index import Writer
from mlops.errors import MlopsError

EDGES = (0.1, 1.0, 2.5)
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(meters: Meters) -> Samples:
    """What is exposed: (name, sorted labels) → value."""
    text = meters.exposition().decode()
    found = [s for family in text_string_to_metric_families(text) for s in family.samples]
    read = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in found}
    assert len(read) == len(found), "a sample stands there twice"
    return read


def value(meters: Meters, name: str, **labels: str) -> float | None:
    return samples(meters).get((name, tuple(sorted(labels.items()))))


@pytest.fixture
def meters(tmp_path: Path) -> Iterator[Meters]:
    made = Meters(tmp_path, 7)
    yield made
    made.close()


def fill(meters: Meters) -> None:
    """One series or two of every family that is registered."""
    for family in FAMILIES.values():
        if family.at_scrape:
            continue
        for text in ("a", 'b "quoted" \\ and\nbroken'):
            labels = {label: text for label in family.labels if label != "worker"}
            if family.kind == "counter":
                meters.counter(family.name, **labels).add(3)
            elif family.kind == "gauge":
                meters.gauge(family.name, **labels).set(1.5)
            else:
                meters.histogram(family.name, EDGES, **labels).observe(1.0)


def test_what_is_counted_is_shown(meters: Meters) -> None:
    refused = meters.counter("churn_refused_total", route="predict", reason="rows")
    refused.add()
    meters.counter("churn_refused_total", reason="rows", route="predict").add(2.5)
    meters.gauge("churn_in_flight").set(4)
    meters.gauge("churn_in_flight").add(-1)
    assert value(meters, "churn_refused_total", route="predict", reason="rows") == 3.5
    assert value(meters, "churn_in_flight", worker="7") == 3
    assert value(meters, "churn_workers") == 1


def test_a_bucket_holds_its_edge_and_buckets_are_cumulative(meters: Meters) -> None:
    histogram = meters.histogram("churn_http_request_seconds", EDGES, route="predict")
    for seconds in (0.1, 0.100001, 1.0, 2.5, 2.6, -1.0):
        histogram.observe(seconds)
    histogram.observe_counts([0, 1, 0, 2], 11.0)
    shown = samples(meters)

    def bucket(edge: str) -> float:
        return shown["churn_http_request_seconds_bucket", (("le", edge), ("route", "predict"))]

    assert [bucket(edge) for edge in ("0.1", "1.0", "2.5", "+Inf")] == [2, 5, 6, 9]
    assert shown["churn_http_request_seconds_count", (("route", "predict"),)] == 9
    assert shown["churn_http_request_seconds_sum", (("route", "predict"),)] == pytest.approx(16.300001)


@pytest.mark.parametrize(
    ("register", "said"),
    [
        (lambda m: m.counter("churn_refuse_total", route="a", reason="b"), "did you mean churn_refused_total"),
        (lambda m: m.counter("churn_in_flight"), "is no counter"),
        (lambda m: m.gauge("churn_refused_total", route="a", reason="b"), "is no gauge"),
        (lambda m: m.counter("process_cpu_seconds_total"), "is no counter"),
        (lambda m: m.counter("churn_refused_total", route="a"), "needs the label reason"),
        (lambda m: m.counter("churn_refused_total", route="a", reason="b", key="c"), "has no label key"),
        (lambda m: m.gauge("churn_in_flight", worker="1"), "has no label worker"),
        (lambda m: m.histogram("churn_http_request_seconds", (1.0, 1.0), route="a"), "do not rise"),
        (lambda m: m.histogram("churn_http_request_seconds", (1.0, math.inf), route="a"), "do not rise"),
        (lambda m: m.histogram("churn_http_request_seconds", (math.nan,), route="a"), "do not rise"),
    ],
)
def test_what_is_not_in_the_table_is_refused(meters: Meters, register: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        register(meters)  # type: ignore[operator]


def test_a_family_has_a_limit(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "MOST_SERIES", 5)
    for i in range(20):
        meters.counter("churn_rate_limited_total", key=f"k{i}").add()
        meters.gauge("churn_model_failing", variant=f"v{i}").set(i)
        meters.histogram("churn_feature_value", EDGES, variant="prod", feature=f"f{i}").observe(i)
    meters.counter("churn_rate_limited_total", key="k3").add()
    shown = samples(meters)
    keys = {labels[0][1]: n for (name, labels), n in shown.items() if name == "churn_rate_limited_total"}
    assert keys == {"k0": 1, "k1": 1, "k2": 1, "k3": 2, "k4": 1, "other": 15}
    assert value(meters, "churn_series_folded_total", family="churn_rate_limited_total") == 15
    assert value(meters, "churn_feature_value_count", variant="other", feature="other") == 15
    assert value(meters, "churn_model_failing", worker="other", variant="other") == 19


def test_limits_hold_memory_too(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "MOST_SERIES", 5)
    for i in range(300):
        meters.counter("churn_rate_limited_total", key=f"{i}" * 1000).add()
    assert len(meters._cells) <= 5
    assert len(meters.exposition()) < 10_000
    assert sum(n for (name, _), n in samples(meters).items() if name == "churn_rate_limited_total") == 300


def test_long_labels_are_cut(meters: Meters) -> None:
    meters.counter("churn_rate_limited_total", key="x" * 100_000).add()
    meters.counter("churn_rate_limited_total", key="x" * 100_000).add()
    assert value(meters, "churn_rate_limited_total", key="x" * register.LONGEST_LABEL) == 2


def test_cells_run_out_and_more_are_made(meters: Meters, tmp_path: Path) -> None:
    first = meters.counter("churn_refused_total", route="first", reason="r")
    edges = [float(i) for i in range(1500)]
    made = [meters.histogram("churn_feature_value", edges, variant="prod", feature=f"f{i}") for i in range(14)]
    huge = meters.histogram("churn_feature_value", [float(i) for i in range(BLOCK + 5)], variant="prod", feature="huge")
    first.add(5)
    for i, histogram in enumerate(made):
        histogram.observe_counts([1] * (i + 1), i)
    huge.observe(1e9)
    shown = samples(meters)
    assert shown["churn_refused_total", (("reason", "r"), ("route", "first"))] == 5
    for i in range(14):
        assert shown["churn_feature_value_count", (("feature", f"f{i}"), ("variant", "prod"))] == i + 1
    assert shown["churn_feature_value_count", (("feature", "huge"), ("variant", "prod"))] == 1
    assert len(list(tmp_path.glob("*.cells"))) == 4


def test_threads_of_a_worker_lose_no_count(meters: Meters) -> None:
    cell = meters.counter("churn_log_written_total")
    histogram = meters.histogram("churn_http_request_seconds", EDGES, route="predict")

    def count() -> None:
        for _ in range(20_000):
            cell.add()
            histogram.observe(1.0)
            meters.counter("churn_refused_total", route="a", reason="b").add()

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=count) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert value(meters, "churn_log_written_total") == 80_000
    assert value(meters, "churn_refused_total", route="a", reason="b") == 80_000
    assert value(meters, "churn_http_request_seconds_sum", route="predict") == 80_000


def test_a_full_disk_stops_no_request(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    before = meters.counter("churn_refused_total", route="predict", reason="rows")
    fold = meters.counter("churn_series_folded_total", family="churn_refused_total")

    def full(self: Writer, line: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Writer, "write", full)
        meters.counter("churn_refused_total", route="predict", reason="new").add(9)
        meters.histogram("churn_http_request_seconds", EDGES, route="new").observe(1.0)
    before.add()
    fold.add(0)
    shown = samples(meters)
    assert shown["churn_refused_total", (("reason", "rows"), ("route", "predict"))] == 1
    assert ("churn_refused_total", (("reason", "new"), ("route", "predict"))) not in shown
    assert shown["churn_series_folded_total", (("family", "churn_refused_total"),)] == 1


def test_a_cleared_gauge_is_not_shown(meters: Meters) -> None:
    old = meters.gauge("churn_model_failing", variant="prod")
    old.set(1)
    old.clear()
    assert value(meters, "churn_model_failing", worker="7", variant="prod") is None
    old.set(0)
    assert value(meters, "churn_model_failing", worker="7", variant="prod") == 0


def test_a_histogram_with_new_edges_starts_anew_and_old_ones_come_back(meters: Meters) -> None:
    def shown() -> tuple[float | None, float | None, float | None]:
        read = samples(meters)
        labels = (("feature", "age"), ("variant", "prod"))
        count = read.get(("churn_feature_value_count", labels))
        return count, *(
            read.get(("churn_feature_value_bucket", (labels[0], ("le", le), labels[1]))) for le in ("18.0", "20.0")
        )

    first, second = (18.0, 40.0), (20.0, 40.0)
    meters.histogram("churn_feature_value", first, variant="prod", feature="age").observe_counts([5, 0, 0], 50)
    assert shown() == (5, 5, None)
    meters.histogram("churn_feature_value", second, variant="prod", feature="age").observe(19)
    assert shown() == (1, None, 1)
    meters.histogram("churn_feature_value", first, variant="prod", feature="age").observe(17)
    assert shown() == (6, 6, None)


def test_a_folder_that_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(MlopsError, match=r"gone: metrics cannot be kept there \(No such file or directory\)"):
        Meters(tmp_path / "gone", 1)
