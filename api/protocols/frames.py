"""Bodies of MLflow's scoring protocol that hold a table: JSON in four forms, CSV, Parquet.

What the model does not read is ignored, as the protocol has it; what it reads is checked as everywhere.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from api.contract import Contract, Table
from api.contract.fields import shown
from api.door.messages import Refused
from api.protocols import document
from api.protocols.document import malformed, named

Form = Callable[[Contract, Any], Table]

NAT = "NaT"
"""How pandas writes a missing date into JSON."""


def from_json(contract: Contract, body: bytes) -> tuple[Table, Mapping[str, Any]]:
    """The rows of a JSON body and its `params`.

    Raises:
        Refused: 400, the body is none of the four forms; as Invalid, values that the model does not take.
    """
    found = document.read(body)
    if not isinstance(found, dict):
        raise malformed(f"the body is {shown(found)}; {_WANTED}")
    forms = [name for name in FORMS if name in found]
    if len(forms) != 1:
        raise malformed(f"the body has {' and '.join(forms) if forms else 'no table'}; {_WANTED}")
    params = found.get("params")
    if params is not None and not isinstance(params, dict):
        raise malformed(f"params is {shown(params)}; an object is needed")
    return FORMS[forms[0]](contract, found[forms[0]]), params or {}


def _split(contract: Contract, given: Any) -> Table:
    at = "dataframe_split"
    if not isinstance(given, dict) or not isinstance(given.get("data"), list):
        raise malformed(f'{at}: {{"columns": […], "data": [[…], …]}} is needed')
    other = sorted(given.keys() - {"columns", "index", "data"})
    if other:
        raise malformed(f"{at}.{named(other[0])} is none of columns, index and data")
    names = given.get("columns")
    if names is not None and not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise malformed(f"{at}.columns: a list of column names is needed")
    return contract.from_lists(given["data"], names, extra=True, no_date=NAT, at=(at,))


def _records(contract: Contract, given: Any) -> Table:
    if not isinstance(given, list):
        raise malformed("dataframe_records: a list of objects is needed, one per row")
    return contract.from_records(given, extra=True, at=("dataframe_records",))


def _instances(contract: Contract, given: Any) -> Table:
    if not isinstance(given, list):
        raise malformed("instances: a list is needed, one object or list of values per row")
    return rows(contract, given, extra=True)


def rows(contract: Contract, given: list[Any], *, extra: bool) -> Table:
    """`instances` as TensorFlow Serving has them: objects, or lists of values in the order of the signature.

    Raises:
        Invalid: values that the model does not take.
    """
    if given and isinstance(given[0], list):
        return contract.from_lists(given, None, extra=extra, at=("instances",))
    return contract.from_records(given, extra=extra, at=("instances",))


def _inputs(contract: Contract, given: Any) -> Table:
    if isinstance(given, list) and given and isinstance(given[0], dict):
        return contract.from_records(given, extra=True, at=("inputs",))
    if not isinstance(given, dict):
        raise malformed("inputs: an object of column: [values] is needed; the columns of this model have names")
    for name, values in given.items():
        if not isinstance(values, list):
            raise malformed(f"inputs.{named(name)} is {shown(values)}; a list of one value per row is needed")
    return contract.from_columns(given, extra=True, at=("inputs",))


FORMS: Mapping[str, Form] = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _instances,
    "inputs": _inputs,
}
_WANTED = f"an object with exactly one of {', '.join(FORMS)} is needed"


def from_csv(contract: Contract, body: bytes) -> Table:
    """The rows of a CSV body: UTF-8, commas, names of columns in the first line; an empty cell is missing.

    Raises:
        Refused: 400, it is no such table; as Invalid, values that the model does not take.
    """
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise malformed(f"the body is not CSV in UTF-8 ({error})") from None
    names, *cells = [line for line in lines if line] or [[]]
    _once(names)
    for i, row in enumerate(cells):
        if len(row) != len(names):
            raise malformed(f"row {i} of the CSV has {len(row)} cells; the header names {len(names)} columns")
    columns: Sequence[Sequence[str]] = list(zip(*cells, strict=True)) or [()] * len(names)
    return contract.from_texts(dict(zip(names, columns, strict=True)), extra=True, at=("csv",))


def _once(names: Sequence[str]) -> None:
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise malformed(f"column {named(twice)} is there twice")


def from_parquet(contract: Contract, body: bytes, most_rows: int, most_bytes: int) -> Table:
    """The rows of a Parquet body. The limits hold for what its own metadata says of it once inflated.

    Raises:
        Refused: 415, pyarrow is not installed; 413, too large; 400, it is not Parquet, or a column cannot be read.
    """
    try:
        from api.protocols import parquet
    except ImportError:
        raise Refused(
            415,
            "content_type",
            "Parquet is not read by this service; install api/requirements-parquet.txt (the extra api[parquet]),"
            " or send application/json",
        ) from None
    wanted = (*contract.names, *contract.id_names)
    return contract.from_columns(parquet.read(body, wanted, most_rows, most_bytes), extra=True, at=("parquet",))
