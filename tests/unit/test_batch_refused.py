"""Parquet files whose columns cannot be used: one line, and nothing is written."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlops.batch.run import predict
from mlops.errors import TableError
from mlops.features import Plan
from tests.unit.batches import customers, request, workspace
from tests.unit.models import Fitted


@pytest.fixture
def models(fitted: dict[str, Fitted], plan: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return workspace("xgboost", fitted, plan, tmp_path / "models", id="customer")


@pytest.mark.parametrize("name", ["minutes", "customer"])
def test_a_column_that_is_there_twice(models: Path, tmp_path: Path, name: str) -> None:
    table = customers(20)
    pq.write_table(table.append_column(name, table.column(name)), tmp_path / "in.parquet")
    with pytest.raises(TableError, match=f"column {name} is there twice"):
        predict(request(models, tmp_path / "in.parquet", tmp_path / "out.csv"))
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("column", [pa.array([[1]] * 20), pa.array([{"a": 1}] * 20), pa.array([b"\xff"] * 20)])
def test_what_csv_cannot_hold(models: Path, tmp_path: Path, column: pa.Array) -> None:
    pq.write_table(customers(20).append_column("tags", column), tmp_path / "in.parquet")
    with pytest.raises(TableError, match=r"tags holds .*, which CSV cannot hold"):
        predict(request(models, tmp_path / "in.parquet", tmp_path / "out.csv", keep=("tags",)))
    predict(request(models, tmp_path / "in.parquet", tmp_path / "out.parquet", keep=("tags",)))
    assert pq.read_table(tmp_path / "out.parquet").column("tags").combine_chunks().equals(column)
