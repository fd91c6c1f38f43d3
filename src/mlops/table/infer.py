"""What kind each column is, judged on all rows of all files. A person corrects it in data/schema.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mlops.errors import TableError, nearest
from mlops.schema import Column, Schema
from mlops.table import dates, numbers, spellings
from mlops.table.distinct import Distinct, distinct, duplicates, is_counter, named_like_id, names_somebody
from mlops.table.names import find, match
from mlops.table.read import Sheet
from mlops.table.target import decide
from mlops.table.typed import chained, texts
from mlops.table.values import FALSE, TRUE, encoded, read_column

NUMERIC_SHARE = 0.9  # of the values that must be numbers; the other words then mean "no value"
ODD_WORDS = 20
FEW_ROWS = 20  # below, distinct values say nothing
MANY_LEVELS = 100
WHY_ID = "looks like an identifier; name it with --id if it is"

Parts = list[pa.ChunkedArray]


@dataclass(frozen=True)
class Wishes:
    """What the command line says about columns."""

    target: str
    id: str | None = None
    time: str | None = None
    positive: str | None = None
    drop: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inference:
    """The schema of a table and what a person should know about how it came about."""

    schema: Schema
    warnings: tuple[str, ...]


def infer(sheets: Sequence[Sheet], wishes: Wishes, decimal: str) -> Inference:
    """The kinds of all columns of a table.

    Raises:
        TableError: a named column does not exist, files have different columns, the target has not two values.
    """
    columns, warnings = aligned(sheets)
    _check_names(wishes, list(columns), sheets[0].name)
    found: list[Column] = []
    for name, parts in columns.items():
        column, notes = _column(distinct(name, parts), parts, wishes, decimal)
        found.append(column)
        warnings += notes
    found, notes = _with_time(found, columns, wishes, decimal)
    warnings += notes
    repeated = duplicates(list(columns.values()))
    if repeated:
        rows = sum(sheet.rows for sheet in sheets)
        warnings.append(f"{repeated:,} of {rows:,} rows repeat an earlier row in every column; they are kept")
    if not any(c.is_feature for c in found):
        raise TableError(f"{sheets[0].name}: no column is left to predict {wishes.target} from; see --drop and --id")
    return Inference(Schema(tuple(found)), tuple(warnings))


def aligned(sheets: Sequence[Sheet]) -> tuple[dict[str, Parts], list[str]]:
    """The first file's columns with their counterparts in the other files, and what was unlike.

    Raises:
        TableError: a file lacks a column of the first one.
    """
    first = sheets[0]
    columns: dict[str, Parts] = {name: [column] for name, column in first.columns.items()}
    warnings: list[str] = []
    for sheet in sheets[1:]:
        if not sheet.header and not sheet.parquet and len(sheet.columns) != len(columns):
            widths = f"{sheet.name} has {len(sheet.columns)} columns, {first.name} has {len(columns)}"
            raise TableError(f"{widths}; give files of one table")
        matched = match(list(columns), list(sheet.columns))
        for name, parts in columns.items():
            if name not in matched:
                lacking = f"{sheet.name} has no column {name!r}, which {first.name} has"
                raise TableError(f"{lacking}{nearest(name, sheet.columns)}; give files of one table")
            parts.append(sheet.columns[matched[name]])
        respelled = [f"{theirs} as {ours}" for ours, theirs in matched.items() if ours != theirs]
        if respelled:
            warnings.append(f"{sheet.name}: column names differ in case: {', '.join(respelled)}")
        extra = [name for name in sheet.columns if name not in matched.values()]
        if extra:
            warnings.append(f"{sheet.name}: columns that {first.name} has not are left out: {', '.join(extra)}")
    return columns, warnings


def _check_names(wishes: Wishes, known: list[str], where: str) -> None:
    roles = [n for n in (wishes.target, wishes.id, wishes.time) if n is not None]
    for name in (*roles, *wishes.drop):
        find(name, known, where)
    for name in roles:
        if [*roles, *wishes.drop].count(name) > 1:
            raise TableError(f"{name} is named twice among --target, --id, --time and --drop; name another column")


def _column(seen: Distinct, parts: Parts, wishes: Wishes, decimal: str) -> tuple[Column, list[str]]:
    """One column's kind and the warnings about it: roles first, then what its values say."""
    name = seen.name
    if name == wishes.target:
        return decide(seen, wishes.positive), []
    if name == wishes.id:
        return Column(name, "id"), []
    if name == wishes.time:
        return _time(seen), []
    if name in wishes.drop:
        return Column(name, "ignore", why="dropped by --drop"), []
    if not seen.rows:
        return Column(name, "ignore", why="no row has a value"), []
    if len(seen.words) == 1:
        return Column(name, "ignore", why=f"always {_short(seen.words[0].as_py())}"), []
    for guess in (_boolean, _number, _date):
        column, notes = guess(seen, decimal)
        if column is not None:
            if column.kind == "number":
                return _numbered(seen, parts, column, notes)
            return column, notes
    return _words(seen, parts)


def _time(seen: Distinct) -> Column:
    column, _ = _date(seen, ".", compact=True)
    if column is None:
        example = seen.most_frequent(1)
        shown = f" ({example[0][0]!r})" if example else ""
        raise TableError(f"--time {seen.name}: its values{shown} are no dates, such as 2025-01-31; name a date column")
    return replace(column, kind="time")


def _boolean(seen: Distinct, decimal: str) -> tuple[Column | None, list[str]]:
    del decimal
    real = seen.without(sorted(numbers.MISSING_VALUE))
    words = set(pc.utf8_lower(real.words).to_pylist()) if len(real.words) <= ODD_WORDS else {""}
    return (Column(seen.name, "boolean"), []) if words and words <= {*TRUE, *FALSE} else (None, [])


def _number(seen: Distinct, decimal: str) -> tuple[Column | None, list[str]]:
    real = seen.without(sorted(numbers.MISSING_VALUE))
    if pa.types.is_boolean(seen.type) or pa.types.is_temporal(seen.type) or not real.rows:
        return None, []
    readable = np.asarray(pc.is_valid(numbers.parse(real.words, decimal)), dtype=bool)
    share = real.counts[readable].sum() / real.rows
    odd = np.flatnonzero(~readable)
    if share < NUMERIC_SHARE or len(odd) > ODD_WORDS:
        return None, []
    text = pa.types.is_string(seen.type)
    zeros = np.asarray(pc.match_substring_regex(real.words, r"^0\d+$"), dtype=bool)
    if text and real.counts[zeros].sum() > real.rows / 2:
        return None, []
    if _dated(seen.name) and _date(real, decimal)[0] is not None:
        return None, []
    return _with_missing(Column(seen.name, "number"), real, odd)


def _date(seen: Distinct, decimal: str, compact: bool = False) -> tuple[Column | None, list[str]]:
    del decimal
    if pa.types.is_temporal(seen.type) and not pa.types.is_duration(seen.type):
        return Column(seen.name, "date"), []
    real = seen.without(sorted(numbers.MISSING_VALUE))
    if not real.rows:
        return None, []
    found = dates.find(real.words, pa.array(real.counts), compact or _dated(seen.name))
    if found is None:
        return None, []
    form, warning = found
    odd = np.flatnonzero(np.asarray(pc.is_null(dates.parse(real.words, form)), dtype=bool))
    if len(odd) > ODD_WORDS:
        return None, []
    column, notes = _with_missing(Column(seen.name, "date", format=form), real, odd)
    return column, notes + ([f"{seen.name}: {warning}"] if warning else [])


def _with_missing(column: Column, real: Distinct, odd: np.typing.NDArray[np.int64]) -> tuple[Column, list[str]]:
    """The column with the words that do not read taken as "no value", and the warning that names them."""
    if not len(odd):
        return column, []
    words = sorted((real.words[int(i)].as_py(), int(real.counts[i])) for i in odd)
    shown = ", ".join(f"{_short(word)} ({count})" for word, count in words)
    note = f"{column.name}: a {column.kind}, but {shown} taken as missing; if that is wrong, correct data/schema.yaml"
    return replace(column, missing=tuple(word for word, _ in words)), [note]


def _dated(name: str) -> bool:
    return any(word in name.casefold() for word in ("date", "day", "time", "month"))


def _numbered(seen: Distinct, parts: Parts, column: Column, notes: list[str]) -> tuple[Column, list[str]]:
    """A column of numbers: amounts, a count of the rows, or numbers that are names."""
    if is_counter(parts):
        return Column(seen.name, "ignore", why=WHY_ID), []
    if not pc.all(pc.match_substring_regex(seen.words, r"^\d+(\.0)?$")).as_py():
        return column, notes
    unique = len(seen.words) == seen.rows
    if named_like_id(seen.name) and (unique or len(seen.words) > MANY_LEVELS):
        return _identifier(seen, unique)
    if unique and seen.rows >= FEW_ROWS:
        notes = [*notes, f"{seen.name}: whole numbers, all different; if they name the customer, use --id or --drop"]
    return column, notes


def _identifier(seen: Distinct, unique: bool) -> tuple[Column, list[str]]:
    """A column named like an identifier: left out, unless it repeats and names no customer (a store, a dealer)."""
    if unique:
        return Column(seen.name, "ignore", why=WHY_ID), []
    many = f"{seen.name}: {len(seen.words):,} identifiers on {seen.rows:,} rows"
    if names_somebody(seen.name):
        note = f"{many}; left out. If it says whose row it is, use --id; if it is a group, set kind: category"
        return Column(seen.name, "ignore", why=WHY_ID), [note]
    return Column(seen.name, "category"), [f"{many}, taken as a category; if it says whose row it is, use --id"]


def _words(seen: Distinct, parts: Parts) -> tuple[Column, list[str]]:
    """Strings: free text, an identifier, or a category."""
    share = len(seen.words) / seen.rows
    spaces = np.asarray(pc.count_substring_regex(seen.words, r"\S+"), dtype=np.int64)
    average = float((spaces * seen.counts).sum()) / seen.rows
    if share > 0.5 and average >= 3:
        return Column(seen.name, "text"), []
    enough = seen.rows >= FEW_ROWS or named_like_id(seen.name)
    single = float(seen.counts[spaces == 1].sum()) / seen.rows
    if enough and single > 0.9:
        if share > 0.9:
            return Column(seen.name, "ignore", why=WHY_ID), []
        if named_like_id(seen.name) and len(seen.words) > MANY_LEVELS:
            return _identifier(seen, unique=False)
    column = Column(seen.name, "category")
    return column, _spelling_notes(column, parts)


def _spelling_notes(column: Column, parts: Parts) -> list[str]:
    found = spellings.compare([spellings.count(part, column) for part in texts(parts)])
    notes = [f"{column.name}: {_short(a)} ({found.rows[a]} rows) read as {_short(b)}" for a, b in found.merged.items()]
    apart = [" and ".join(map(_short, group)) for group in found.apart[:3]]
    return notes + [
        f"{column.name}: {group} differ in case or blanks alone, in one file; kept apart" for group in apart
    ]


def _with_time(
    found: list[Column], columns: dict[str, Parts], wishes: Wishes, decimal: str
) -> tuple[list[Column], list[str]]:
    """With --id: how many rows an id has, and the date column that makes (id, date) unique as the time."""
    if wishes.id is None:
        return found, []
    ids = _codes(columns[wishes.id], Column(wishes.id, "id"), decimal)
    known = ids >= 0
    missing, distinct_ids = int((~known).sum()), len(np.unique(ids[known]))
    notes = [f"{wishes.id}: {missing:,} rows have no id; each counts as a customer of its own"] if missing else []
    if distinct_ids == int(known.sum()):
        return found, notes
    notes.append(f"{wishes.id}: {distinct_ids:,} ids on {int(known.sum()):,} rows; all rows of one id go to one side")
    if wishes.time is not None:
        return found, notes
    fitting = []
    for place, column in enumerate(found):
        if column.kind == "date":
            pair = np.stack([ids, _codes(columns[column.name], column, decimal)])[:, known]
            if (pair[1] >= 0).all() and np.unique(pair, axis=1).shape[1] == pair.shape[1]:
                fitting.append(place)
    if len(fitting) == 1:
        found[fitting[0]] = replace(found[fitting[0]], kind="time")
        notes.append(f"{found[fitting[0]].name}: taken as the time of each row; another one can be named with --time")
    return found, notes


def _codes(parts: Parts, column: Column, decimal: str) -> np.typing.NDArray[np.int64]:
    chunks, _ = encoded(read_column(chained(parts), column, decimal))
    return np.concatenate([np.asarray(pc.fill_null(chunk, -1), dtype=np.int64) for chunk in chunks])


def _short(word: str) -> str:
    return repr(word if len(word) <= 40 else word[:37] + "…")
