"""Features column by column: the same as all at once, stored the same whatever the order of the rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mlops import columns, features, preprocess
from mlops import schema as schemas

SCHEMA = schemas.parse(
    {
        "columns": {
            "plan": {"kind": "category"},
            "fee": {"kind": "number"},
            "since": {"kind": "date"},
            "at": {"kind": "time"},
            "comment": {"kind": "text"},
            "left": {"kind": "target", "positive": "Yes", "negative": "No"},
        },
        "derived": {"double": {"product": ["fee", "fee"]}},
    }
)


def test_features_one_by_one_are_the_features_at_once() -> None:
    plan = features.plan(SCHEMA, {}, with_sentiment=True)
    days = pa.array([86_400 * 20_000, None, 0], pa.timestamp("s"))
    table = pa.table(
        {"plan": ["b", None, "a"], "fee": [1.5, None, 0.0], "since": days, "at": days, "comment": ["", "x y", None]}
    )
    at_once = plan.columns(columns.raw(table, plan.inputs))
    for feature, values in preprocess.computed(plan, table):
        expected = at_once[feature.name]
        if isinstance(expected, features.Coded):
            assert isinstance(values, features.Coded)
            assert (values.codes == expected.codes).all()
            assert values.levels == expected.levels
        else:
            np.testing.assert_array_equal(values, expected)


def test_levels_do_not_depend_on_the_order_of_rows() -> None:
    coded = features.Coded(np.array([2, -1, 0, 2], dtype=np.int32), ("b", "unused", "a"))
    stored = preprocess.stored(coded)
    assert stored.to_pylist() == ["a", None, "b", "a"]
    assert stored.dictionary.to_pylist() == ["a", "b"]
