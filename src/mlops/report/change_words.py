"""The report's words on what was changed: parameters, limits, code, data, packages; and on what the model costs."""

from __future__ import annotations

from mlops.report.document import Block, Listing, Section, Table
from mlops.report.facts import Code, Facts, File, Value, Values

NOTHING = "–"
MOST = 15
"""Entries that are shown of a list."""
MB = 1e6


class Words:
    """Sections of a report; None where there is nothing to say."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._sides = facts.compared.name, facts.compared.head[:8]
        self._commits = facts.compared.base[:8], facts.compared.head[:8]

    def params(self) -> Section | None:
        """Parameters, and the stages that read them."""
        return self._values("Parameters", "parameter", self._facts.params, with_stages=True)

    def policy(self) -> Section | None:
        """Limits that people decide by."""
        return self._values("policy.yaml", "limit", self._facts.policy)

    def environment(self) -> Section | None:
        """Packages."""
        return self._values("Packages (requirements.txt)", "package", self._facts.environment)

    def _values(self, title: str, kind: str, values: Values, with_stages: bool = False) -> Section | None:
        if not values.count:
            return None
        shown = values.shown[:MOST]
        head = (kind, *self._sides) + (("read by",) if with_stages else ())
        rows = tuple(
            (v.name, *map(_value, (v.before, v.after)), *((", ".join(v.stages) or "no stage",) if with_stages else ()))
            for v in shown
        )
        table = Table(head, rows, frozenset(range(len(head))))
        return Section(title, (table, *self._more(values.count - len(shown))))

    def code(self) -> Section | None:
        """Files that differ, by who reads them, and the outputs that are other bytes."""
        code = self._facts.code
        said = tuple(_around(code))
        if not code.files and not said:
            return None
        shown = code.files[:MOST]
        rows = tuple((file.path, _lines(file), ", ".join(file.stages)) for file in shown)
        table: tuple[Block, ...] = (Table(("file", "lines", "read by"), rows, frozenset({0, 1, 2})),) if rows else ()
        lists: tuple[Block, ...] = (Listing(said),) if said else ()
        return Section("Code", (*table, *self._more(code.count - len(shown)), *lists))

    def data(self) -> Section | None:
        """Rows, labels, schema, split; drift of columns."""
        data = self._facts.data
        if data is None:
            return None
        blocks: list[Block] = [Listing(tuple(data.lines))] if data.lines else []
        shown = data.columns[:MOST]
        if shown:
            head = ("column", "drift", "values", "missing", "rows changed")
            blocks.append(Table(head, tuple((c.name, *c.cells) for c in shown), frozenset({0, 1, 2, 3})))
        if data.others:
            shown_by = f"`mlops data diff {' '.join(self._commits)}` shows them"
            more = "more columns differ" if shown else "columns differ"
            blocks.append(f"{data.others:,} {more}, without drift; {shown_by}")
        return Section("Data", tuple(blocks))

    def cost(self) -> Section | None:
        """Size, time of one row, time of training."""
        cost = self._facts.cost
        said = []
        if cost.size is not None:
            now, was = cost.size
            before = "" if was is None else f", before {was / MB:.3f} MB"
            said.append(f"the served model has {now / MB:.3f} MB{before}")
        if cost.latency is not None:
            said.append(cost.latency)
        if cost.train_seconds is not None:
            said.append(f"the last training in this folder took {cost.train_seconds:.1f} s")
        return Section("Size and time", (Listing(tuple(said)),)) if said else None

    def _more(self, count: int) -> tuple[Block, ...]:
        return (f"and {count:,} more; `mlops diff {' '.join(self._commits)}` shows them",) if count > 0 else ()


def arrow(entry: Value) -> str:
    """A value before and after."""
    return f"{_value(entry.before)} → {_value(entry.after)}"


def _value(value: str | None) -> str:
    return NOTHING if value is None else value or '""'


def _lines(file: File) -> str:
    return "binary" if file.added is None or file.removed is None else f"+{file.added:,} −{file.removed:,}"


def _around(code: Code) -> list[str]:
    said = []
    if code.outputs:
        said.append(f"outputs that are other bytes now: {', '.join(code.outputs)}")
    if code.others:
        listed = ", ".join(f"{'top folder' if f.name == '.' else f.name} {f.files:,}" for f in code.others[:MOST])
        said.append(f"files that no stage reads: {listed}")
    return said
