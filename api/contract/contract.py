"""The contract of one model: what clients send it, from the signature of its bundle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from api.contract import customers, table
from api.contract.fields import Field, shown
from api.contract.problems import MOST_PROBLEMS, At, not_of_width, refuse, some
from api.contract.record import RECORDS, RecordReader, Unfit
from api.contract.table import Table
from api.door.messages import Problem
from mlops.bundle import Bundle
from mlops.errors import nearest
from mlops.features import Coded, Scalar, Values

CUSTOMER = "customer_id"
LONGEST_NAME = 100
"""Characters of a name that a client made up, in an answer."""
TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")


class Contract:
    """What the model takes. Every column must be there; null where it is missing and training saw it missing.

    The id of the customer is no input of the model: it may stand under `customer_id` or the table's own name of it.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.fields = tuple(Field.of(described) for described in bundle.signature["inputs"])
        self.names = tuple(field.name for field in self.fields)
        self.known = frozenset(self.names)
        own = bundle.signature.get("id")
        self.id_names = tuple(name for name in dict.fromkeys((CUSTOMER, own)) if name and name not in self.known)
        self._levels = tuple((f.name, f.levels) for f in self.fields if f.levels is not None)
        self._whole = (self.known, *(self.known | {name} for name in self.id_names))
        self.record = RecordReader(self.fields, self.id_names, _encoded_as_they_are(bundle))

    def unknown(self, row: Mapping[str, Scalar]) -> list[str]:
        """Columns in which a row has a level that training did not see."""
        return [name for name, levels in self._levels if row[name] not in levels and row[name] is not None]

    def unknown_in(self, columns: Mapping[str, Values]) -> dict[str, int]:
        """The same for many rows: column → how many of them."""
        found = {}
        for name, levels in self._levels:
            column = columns[name]
            assert isinstance(column, Coded)
            new = [code for code, level in enumerate(column.levels) if level not in levels]
            rows = int(np.isin(column.codes, new).sum()) if new else 0
            if rows:
                found[name] = rows
        return found

    def example(self) -> dict[str, object]:
        """A record that the model takes."""
        return {field.name: field.example for field in self.fields}

    def from_body(self, body: bytes, most: int) -> Table | None:
        """The rows of a body `{"records": […]}` of at most so many; None: only the slow way can say what it is.

        Raises:
            Invalid: a value is of the right type, but wrong.
        """
        try:
            columns = self.record.many(body)
        except Unfit:
            return None
        if len(columns[self.names[0]]) > most:
            return None
        return self._table(columns, lambda i, name: (RECORDS, i, name))

    def from_records(self, records: Sequence[object], *, extra: bool = False, at: At | None = (RECORDS,)) -> Table:
        """Rows given as objects. extra: fields that the model does not read are ignored, else they are refused.

        at: where the list stands; None: there is one record, and it is the body itself.

        Raises:
            Invalid: names what is wrong and where.
        """
        some(records, at or ())

        def place(i: int) -> At:
            return () if at is None else (*at, i)

        # Names are looked at once for each order in which they come: nearly always, all records have the same.
        orders: set[tuple[str, ...]] | None = None
        if set(map(type, records)) == {dict}:
            orders = set(map(tuple, records))  # type: ignore[arg-type]
        if orders is None or any(self._names_of(names, extra=extra, at=()) for names in orders):
            refuse(self._misfits(records, extra, place))
        rows: Sequence[dict[str, object]] = records  # type: ignore[assignment]
        if orders is not None and len(orders) == 1:
            columns = dict(zip(*orders, zip(*map(dict.values, rows), strict=True), strict=True))
        else:
            columns = {name: tuple(row.get(name) for row in rows) for name in (*self.names, *self.id_names)}
        return self._table(columns, lambda i, name: (*place(i), name))

    def _misfits(self, records: Sequence[object], extra: bool, place: Callable[[int], At]) -> list[Problem]:
        """Which records are no objects, lack columns or have too many: the first of them, more than anybody is told."""
        problems: list[Problem] = []
        for i, record in enumerate(records):
            if not isinstance(record, dict):
                problems.append(Problem(place(i), f"is {shown(record)}; an object of column: value is needed", "type"))
            else:
                problems += self._names_of(record, extra=extra, at=place(i))
            if len(problems) > MOST_PROBLEMS:
                break
        return problems

    def _names_of(self, names: Iterable[str], *, extra: bool, at: At) -> list[Problem]:
        """Columns that a record lacks, or has too many, given the names that it has."""
        given = dict.fromkeys(names).keys()
        if any(given == whole for whole in self._whole):
            return []
        others = {_cut(name) for name in islice(given - self.known, MOST_PROBLEMS)}
        problems = [
            Problem((*at, name), "is missing" + _near(name, others), "missing")
            for name in self.names
            if name not in given
        ]
        if not extra:
            known = (*self.names, *self.id_names)
            unknown = [name for name in given if name not in self.known and name not in self.id_names]
            problems += [
                Problem((*at, _cut(name)), f"is no column of this model{nearest(_cut(name), known)}", "extra")
                for name in unknown[: MOST_PROBLEMS + 1]
            ]
        return problems

    def from_columns(
        self,
        columns: Mapping[str, Sequence[object]],
        *,
        extra: bool = False,
        no_date: str | None = None,
        at: At = ("inputs",),
    ) -> Table:
        """Rows given by column, all of one length; no_date: a text that stands for a missing date.

        Raises:
            Invalid: names what is wrong and where.
        """
        problems = self._names_of(columns, extra=extra, at=at)
        rows = {name: len(column) for name, column in columns.items() if name in self.known or name in self.id_names}
        if len(set(rows.values())) > 1:
            problems += [
                Problem((*at, name), f"has {length} rows, others have {max(rows.values())}", "shape")
                for name, length in rows.items()
                if length != max(rows.values())
            ]
        refuse(problems)
        some(columns[self.names[0]], at)
        dates = [f.name for f in self.fields if f.kind == "date" and no_date is not None and no_date in columns[f.name]]
        known = {name: [None if value == no_date else value for value in columns[name]] for name in dates}
        return self._table({**columns, **known}, lambda i, name: (*at, name, i))

    def from_lists(
        self,
        rows: Sequence[object],
        names: Sequence[str] | None,
        *,
        extra: bool = False,
        no_date: str | None = None,
        at: At = ("data",),
    ) -> Table:
        """Rows given as lists. names: of their columns; None: the signature's, in its order.

        Raises:
            Invalid: names what is wrong and where.
        """
        some(rows, at)
        columns = tuple(self.names if names is None else names)
        problems = []
        if not set(map(type, rows)) <= {list, tuple} or set(map(len, rows)) != {len(columns)}:  # type: ignore[arg-type]
            problems = not_of_width(rows, len(columns), at)
        if len(set(columns)) < len(columns):
            twice = next(name for name, times in Counter(columns).items() if times > 1)
            problems.append(Problem((*at,), f"column {_cut(twice)} is there twice", "extra"))
        refuse(problems)
        given: dict[str, Sequence[object]] = dict(zip(columns, zip(*rows, strict=True), strict=True))
        return self.from_columns(given, extra=extra, no_date=no_date, at=at)

    def from_texts(self, columns: Mapping[str, Sequence[str]], *, extra: bool = False, at: At = ("csv",)) -> Table:
        """Rows given as texts, as in CSV: an empty cell is missing; booleans are true, false, 1, 0, yes or no.

        Raises:
            Invalid: names what is wrong and where.
        """
        kinds = {field.name: field.kind for field in self.fields}
        given = {name: [_read(kinds.get(name), text) for text in column] for name, column in columns.items()}
        return self.from_columns(given, extra=extra, at=at)

    def with_customers(self, table: Table, ids: Sequence[object], *, at: At) -> Table:
        """The table with ids that stood elsewhere, one for each row.

        Raises:
            Invalid: one of them is no id.
        """
        return replace(table, customers=customers.customers(ids, lambda i: (*at, i)))

    def _table(self, came: Mapping[str, Sequence[object]], where: Callable[[int, str], At]) -> Table:
        columns, problems = {}, []
        given = {name: came[name] for name in self.names}
        for field in self.fields:
            made = table.column(field, given[field.name])
            if isinstance(made, list):
                problems += [Problem(where(i, field.name), wrong.message, wrong.kind) for i, wrong in made]
            else:
                columns[field.name] = made
        refuse(problems)
        ids: Sequence[object] = [None] * len(came[self.names[0]])
        for column in (came[name] for name in self.id_names if name in came):
            ids = [b if a is None else a for a, b in zip(ids, column, strict=True)]
        whose = customers.customers(ids, lambda i: where(i, CUSTOMER))
        return Table(len(ids), columns, whose, given, self.record.texts)


def _encoded_as_they_are(bundle: Bundle) -> frozenset[str]:
    """Numbers that the encoder itself checks for being too large."""
    return frozenset(f.inputs[0] for f in bundle.encoder.plan.features if f.op == "value" and f.kind == "number")


def _cut(name: str) -> str:
    """A name that a client made up, at a length that an answer can carry."""
    return name if len(name) <= LONGEST_NAME else name[:LONGEST_NAME] + "…"


def _near(name: str, given: set[str]) -> str:
    return nearest(name, given).replace("did you mean", "was it meant by")


def _read(kind: str | None, text: str) -> object:
    """A cell as the value of JSON that it stands for; what cannot be read stays a text, and is refused by its field."""
    if text == "":
        return None
    if kind == "boolean":
        word = text.strip().lower()
        return True if word in TRUE else False if word in FALSE else text
    if kind == "number" and "_" not in text:
        try:
            return float(text)
        except ValueError:
            return text
    return text
