"""What is done with a piece of the file: checked, scored, and made rows of the output."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mlops import schema
from mlops.batch import check
from mlops.batch.check import Bad
from mlops.batch.model import Model
from mlops.batch.request import Request
from mlops.batch.score import Scorer
from mlops.batch.source import Piece, Rows, Selection, Source, select
from mlops.errors import TableError
from mlops.features import Floats, Values
from mlops.table import names

Cell = tuple[int, str, str, str]
"""A bad cell: row number from 1, column ("" for a record that is no row), reason, value."""

ROW = "row"
PROBABILITY, PREDICTION = "churn_probability", "prediction"
STAMP = ("version", "commit", "stage", "predicted_at")
REPEATED = pa.dictionary(pa.int8(), pa.string())
DECIMALS = 6
EXACT = pa.decimal128(DECIMALS + 1, DECIMALS)  # in a text, 0.000012 rather than 1.2e-05


@dataclass(frozen=True)
class Done:
    """A scored piece. table: its rows of the output; span: its records; cells: bad ones, numbered within the piece.

    churn: rows predicted to churn; unknown: column → rows whose level training did not see; numbered: the table's first
    column is the row's number, for want of an id.
    """

    table: pa.Table
    span: int
    quarantined: int
    churn: int
    cells: list[Cell]
    unknown: Counter[str]
    numbered: bool

    def behind(self, records: int) -> Done:
        """The same with its rows numbered in a file where so many records stand before it."""
        cells = [(records + row, column, reason, value) for row, column, reason, value in self.cells]
        table = self.table
        if self.numbered:
            table = table.set_column(0, table.schema.field(0), pc.add(table.column(0), records))
        return replace(self, table=table, cells=cells)


class Worker:
    """Turns pieces into rows of the output; to be called in several threads.

    Raises:
        TableError: the file lacks a column that is needed, or --keep names one that the output makes itself.
    """

    def __init__(self, request: Request, model: Model, source: Source, predicted_at: str) -> None:
        self._model, self._decimal, self._scorer = model, source.decimal, Scorer(model)
        signature = model.bundle.signature
        who = names.match([signature["id"]] if signature.get("id") else [], source.columns).values()
        rules = check.rules(signature, _own_words())
        self.selection: Selection = select(request.input, source.columns, rules, [*who, *request.keep])
        _refuse_doubles(request, source.columns, self.selection)
        self._stamp = [model.version, model.commit, model.stage, predicted_at]
        front = [(name, source.carried_type(name)) for name in self.selection.carried] or [(ROW, pa.int64())]
        if not request.parquet:
            _refuse_unwritable(front)
        self._probability = pa.float64() if request.parquet else EXACT
        made = [(PROBABILITY, self._probability), (PREDICTION, pa.bool_()), *((n, REPEATED) for n in STAMP)]
        self.schema = pa.schema([*front, *made])
        if len(set(self.schema.names)) < len(self.schema.names):
            twice = Counter(self.schema.names).most_common(1)[0][0]
            raise TableError(f"--keep {twice}: the output has a column of that name already; leave it out")

    def __call__(self, piece: Piece) -> Done:
        """Check and score a piece; the careful reading only where the quick one leaves a doubt."""
        for rows in piece():
            raw, bad = self._checked(rows)
            if not bad:
                break
        return self._scored(rows, raw, bad)

    def _checked(self, rows: Rows) -> tuple[dict[str, Values], list[Bad]]:
        raw: dict[str, Values] = {}
        bad: list[Bad] = []
        for name, rule in self.selection.rules.items():
            raw[rule.name], found = check.read(rows.table.column(name), rule, self._decimal)
            bad += found
        return raw, bad

    def _scored(self, rows: Rows, raw: dict[str, Values], bad: list[Bad]) -> Done:
        cells = [(row.number, "", row.reason, row.text) for row in rows.rejected]
        table, numbers = rows.table.select(self.selection.carried), rows.numbers
        wrong = np.unique(np.concatenate([np.empty(0, dtype=np.intp), *(b.rows for b in bad)]))
        if len(wrong):
            good = np.ones(len(numbers), dtype=bool)
            good[wrong] = False
            for b in bad:
                cells += [
                    (int(numbers[row]), b.column, b.reason, value) for row, value in zip(b.rows, b.values, strict=True)
                ]
            raw = {name: check.without(values, good) for name, values in raw.items()}
            table, numbers = table.filter(pa.array(good)), numbers[good]
        probabilities = self._scorer(raw)[1] if len(numbers) else np.empty(0)
        predictions = probabilities >= self._model.bundle.threshold
        unknown = {name: check.unseen(raw[r.name], r) for name, r in self.selection.rules.items()}
        return Done(
            self._output(table, numbers, probabilities, predictions),
            rows.span,
            len(rows.rejected) + len(wrong),
            int(predictions.sum()),
            sorted(cells, key=lambda cell: cell[0]),
            Counter({name: count for name, count in unknown.items() if count}),
            not self.selection.carried,
        )

    def _output(
        self, carried: pa.Table, numbers: NDArray[np.int64], probabilities: Floats, predictions: NDArray[np.bool_]
    ) -> pa.Table:
        front = carried.columns or [pa.array(numbers)]
        rounded = pc.cast(pa.array(np.round(probabilities, DECIMALS)), self._probability)
        stamp = [_repeated(value, len(numbers)) for value in self._stamp]
        return pa.table([*front, rounded, pa.array(predictions), *stamp], schema=self.schema)


def _repeated(value: str | None, rows: int) -> pa.DictionaryArray:
    codes = pa.nulls(rows, pa.int8()) if value is None else pa.array(np.zeros(rows, dtype=np.int8))
    return pa.DictionaryArray.from_arrays(codes, pa.array([value or ""]))


def _own_words() -> dict[str, tuple[str, ...]]:
    """Column → its own words for "no value", where data/schema.yaml is there to say so."""
    if not schema.PATH.exists():
        return {}
    return {column.name: column.missing for column in schema.load().columns}


def _refuse_doubles(request: Request, columns: Sequence[str], selection: Selection) -> None:
    """A column that is needed must be there once: which of two is meant, nobody can know."""
    for name in (*selection.carried, *selection.rules):
        if list(columns).count(name) > 1:
            raise TableError(f"{request.input}: column {name} is there twice; leave one of them")


def _refuse_unwritable(front: Sequence[tuple[str, pa.DataType]]) -> None:
    """CSV holds texts: lists, structs and bytes have no form in it."""
    for name, held in front:
        if pa.types.is_nested(held) or pa.types.is_binary(held) or pa.types.is_large_binary(held):
            raise TableError(f"{name} holds {held}, which CSV cannot hold; write .parquet, or leave it out")
