"""Records, fast: decoded by types made from the signature, one with all checks in the same step, many into columns.

What does not fit says only that: the slow way (`Contract.from_records`) then finds the words. Both accept the same
records and give the same values; property tests hold them to it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from api.contract.fields import TOO_LARGE, Field, Wrong
from mlops.features import NAN, Scalar

LONGEST_ID = 256

FORBIDDEN = re.compile(r'["\\\x00-\x1f]')

Row = dict[str, Scalar]
Read = tuple[Row, str | None, bytes]
"""Values for the encoder; the customer's id; the inputs as JSON."""

_encode, _encode_lines = msgspec.json.Encoder().encode, msgspec.json.Encoder().encode_lines


class Unfit(Exception):  # noqa: N818 - an answer, not an error
    """The quick way does not take this body."""


_TYPES: dict[str, Any] = {"number": float, "boolean": bool, "category": str, "text": str, "date": str}
_AS_THEY_CAME = {**_TYPES, "number": int | float}
RECORDS = "records"
"""The member of a body that holds many."""


class RecordReader:
    """`read(body)` → what one record says; `many(body)` → columns; `texts(columns)` → what the log keeps of many.

    Args of its making: the signature's fields; names under which a customer's id may stand; numbers that the encoder
    checks for being too large.
    """

    def __init__(self, fields: Sequence[Field], id_names: Sequence[str], checked_later: frozenset[str]) -> None:
        self._names = (*(f.name for f in fields), *id_names)
        self._decode: Callable[[bytes], Any] = _nothing
        self._decode_many: Callable[[bytes], Any] = _nothing
        self._made: Callable[..., Any] = lambda *row: {f.name: v for f, v in zip(fields, row, strict=True)}
        if not any(FORBIDDEN.search(name) for name in self._names):  # msgspec does not rename to these
            self._decode = msgspec.json.Decoder(_type(fields, id_names, _TYPES)).decode
            self._made = _type(fields, id_names, _AS_THEY_CAME)
            if RECORDS not in self._names:
                body = msgspec.defstruct("Body", [(RECORDS, list[self._made])], forbid_unknown_fields=True)  # type: ignore[name-defined]
                self._decode_many = msgspec.json.Decoder(body).decode
        self._convert = _converter(fields, checked_later)
        self._ids = tuple(f"id{i}" for i in range(len(id_names)))

    def read(self, body: bytes) -> Read:
        """One record.

        Raises:
            Unfit: it is not such a record.
        """
        try:
            record = self._decode(body)
            row = self._convert(record)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Wrong) as error:
            raise Unfit from error
        customer = None
        for name in self._ids:
            given = getattr(record, name)
            if given is not None:
                if customer is None:
                    customer = str(given)
                    if len(customer) > LONGEST_ID:
                        raise Unfit
                setattr(record, name, None)  # no input of the model, and so left out of what is logged
        return row, customer, _encode(record)

    def many(self, body: bytes) -> dict[str, Sequence[Any]]:
        """The columns of `{"records": […]}`, ids too: values of the right types as they came, not yet checked.

        Raises:
            Unfit: it is not such a body, or there are no records in it.
        """
        try:
            records = self._decode_many(body).records
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Unfit from error
        if not records:
            raise Unfit
        return dict(zip(self._names, zip(*map(msgspec.structs.astuple, records), strict=True), strict=True))

    def texts(self, columns: Iterable[Iterable[object]]) -> list[bytes]:
        """Rows as JSON objects, given the values of each field as they came: one for each row of the log."""
        # Making a value does not check it, and JSON leaves no line break inside a text: the lines are the rows.
        return _encode_lines(list(map(self._made, *columns))).splitlines()


def _type(fields: Sequence[Field], id_names: Sequence[str], types: Mapping[str, Any]) -> Any:
    """The struct of a record: `f0`, `f1` … for the fields, `id0` … for the ids, called in JSON what they are called."""
    members = [(f"f{i}", types[f.kind] | None if f.nullable else types[f.kind]) for i, f in enumerate(fields)]
    ids = [(f"id{i}", str | int | None, None) for i in range(len(id_names))]
    names = {f"f{i}": f.name for i, f in enumerate(fields)} | {f"id{i}": n for i, n in enumerate(id_names)}
    return msgspec.defstruct(
        "Record", [*members, *ids], rename=names, forbid_unknown_fields=True, gc=False, omit_defaults=True
    )


def _nothing(body: bytes) -> Any:
    raise Unfit


def _converter(fields: Sequence[Field], checked_later: frozenset[str]) -> Callable[[Any], Row]:
    """A function from the decoded record to the encoder's values, written out as source for this signature.

    A loop over fields costs four times as much. The source holds numbers of fields only; names and functions are
    bound through its namespace.
    """
    lines, items = ["def convert(record):"], []
    space: dict[str, Any] = {"NAN": NAN, "MAX": TOO_LARGE, "Unfit": Unfit}
    for i, field in enumerate(fields):
        space[f"n{i}"], space[f"days{i}"] = field.name, field.days
        lines.append(f"    v = record.f{i}")
        if field.kind in ("category", "text"):
            items.append((i, f"record.f{i}"))
            lines.pop()
            continue
        checks = []
        if field.kind == "date":
            checks.append(f"v = days{i}(v)")
        if field.kind == "number" and field.whole:
            checks.append("if v % 1.0: raise Unfit")
        if field.kind == "number" and field.name not in checked_later:
            checks.append("if not -MAX < v < MAX: raise Unfit")
        if field.nullable:
            lines.append("    if v is None: v = NAN")
            lines += ["    else:", *(f"        {c}" for c in checks or ["pass"])]
        else:
            lines += [f"    {c}" for c in checks]
        lines.append(f"    v{i} = v")
        items.append((i, f"v{i}"))
    lines.append("    return {" + ", ".join(f"n{i}: {value}" for i, value in items) + "}")
    exec("\n".join(lines), space)  # noqa: S102 - source made of field numbers only
    convert: Callable[[Any], Row] = space["convert"]
    return convert
