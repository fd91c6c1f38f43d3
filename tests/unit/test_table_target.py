"""Which two values the target takes and which one is churn."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mlops.errors import TableError
from mlops.table.distinct import distinct
from mlops.table.target import decide


def decided(values: list, positive: str | None = None) -> tuple[str | None, str | None]:
    column = decide(distinct("left", [pa.chunked_array([values])]), positive)
    return column.positive, column.negative


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["Yes", "No", " No "], ("Yes", "No")),
        (["TRUE", "True", "TRUE", "false", "FALSE", "false"], ("TRUE", "false")),
        (["1.0", "0.0", "0"], ("1", "0")),
        (["True.", "False.", "?", ""], ("True", "False")),
        (["Attrited Customer", "Existing Customer"], ("Attrited Customer", "Existing Customer")),
        (["churned", "not churned"], ("churned", "not churned")),
        (["1", "-1"], ("1", "-1")),
        ([1, 0, None], ("1", "0")),
        ([1.0, 0.0, float("nan")], ("1", "0")),
        ([True, False], ("true", "false")),
    ],
)
def test_obvious_targets(values: list, expected: tuple[str, str]) -> None:
    assert decided(values) == expected


def test_a_target_that_only_its_owner_understands() -> None:
    with pytest.raises(TableError, match="which one means churn, --positive '<=50K' or --positive '>50K'"):
        decided(["<=50K", ">50K.", ">50K"])
    assert decided(["<=50K", ">50K.", ">50K", ">50K"], ">50k") == (">50K", "<=50K")
    with pytest.raises(TableError, match="--positive 2"):
        decided(["1", "2"])
    assert decided(["1", "2"], "2.0") == ("2", "1")
    with pytest.raises(TableError, match=r"--positive 'Yess': left takes 'No' and 'Yes'; did you mean Yes\?"):
        decided(["Yes", "No"], "Yess")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", "b", "c"], r"takes 3 values \('a', 'b', 'c'\)"),
        ([str(i) for i in range(9)], r"takes 9 values \('0', '1', '2', '3', '4', …\)"),
        (["yes", "YES"], "takes only one value, 'YES'"),
        (["", "?"], "has no value at all"),
    ],
)
def test_no_target(values: list[str], message: str) -> None:
    with pytest.raises(TableError, match=message):
        decided(values)
