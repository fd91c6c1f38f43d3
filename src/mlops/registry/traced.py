"""What `mlops trace` found, as people read it."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from mlops.registry import show
from mlops.registry.trace import Record

MOST_ROWS = 50
MOST_REASONS = 10


def tell(console: Console, found: Record) -> None:
    """Print everything about one prediction; of many, what stands behind them and a line for each."""
    for told in found["traces"]:
        rows = told["predictions"]
        which = f"row {rows[0]['row']}" if len(rows) == 1 else f"{len(rows):,} rows"
        when = show.local(told["at"])
        console.print(f"[bold]{escape(told['version'])}[/bold] as {told['variant']}, {when}, {which}", highlight=False)
        for name, text in [*_scores(told), *_behind(told)]:
            console.print(f"  {name:<11}{escape(text)}", highlight=False, soft_wrap=True)
        console.print()


def _scores(told: Record) -> list[tuple[str, str]]:
    rows = told["predictions"]
    if len(rows) == 1:
        lines = [("logged", _numbers(rows[0]["logged"]) + _whose(rows[0])), ("again", _again(rows[0]))]
    else:
        lines = [(f"row {r['row']}", f"{r['logged']['probability']}{_whose(r)}: {_again(r)}") for r in rows[:MOST_ROWS]]
        if len(rows) > MOST_ROWS:
            lines.append(("…", f"{len(rows) - MOST_ROWS:,} rows more: --row N, or all with --json"))
        same = sum(r["identical"] is True for r in rows)
        lines.append(("again", f"{same:,} of {len(rows):,} rows came out as the identical numbers"))
    if told["problem"]:
        lines.append(("problem", told["problem"]))
    return lines


def _numbers(numbers: Record) -> str:
    churn = "churn" if numbers["prediction"] else "no churn"
    return f"probability {numbers['probability']}, raw score {numbers['raw_score']!r}, {churn}"


def _whose(row: Record) -> str:
    return f", customer {row['customer']}" if row["customer"] is not None else ""


def _again(row: Record) -> str:
    if row["again"] is None:
        return "not scored"
    if row["identical"]:
        return "the identical numbers"
    far = row["difference"]
    parts = [f"{name} by {far[key]:.3g}" for name, key in _MEASURES if far[key]]
    apart = f"; {', '.join(parts)} apart" if parts else ""
    return f"NOT what was logged, but {_numbers(row['again'])}{apart}"


_MEASURES = (("the raw score", "raw_score"), ("the probability", "probability"))


def _behind(told: Record) -> list[tuple[str, str]]:
    lines = [("commit", told["commit"] or "not known")]
    if told["tag"]:
        lines.append(("tag", f"{told['tag']}, since {show.local(told['since'])}"))
    if told["by"]:
        lines.append(("by", f"{told['by']['name']} <{told['by']['email']}>"))
    if told["verdict"]:
        lines.append(("gate", told["verdict"]))
    lines += [(key, told[key]) for key in ("why", "experiment") if told[key]]
    lines += [(key, told["digests"][key]) for key in ("data", "model") if key in told["digests"]]
    chosen = {k: v for k, v in told["params"].items() if v is not None and "." not in k}
    if chosen:
        lines.append(("params", ", ".join(f"{k}={v}" for k, v in chosen.items())))
    lines += _reasons(told["predictions"])
    return lines + [("note", note) for note in told["notes"]]


def _reasons(rows: list[Record]) -> list[tuple[str, str]]:
    """Why a single row's score is what it is, the largest part first."""
    if len(rows) > 1:
        return [("because", "--row N tells what each feature adds to that row's score")]
    explained = rows[0]["explained"]
    if explained is None:
        return []
    parts = explained["contributions"]
    lines = [("because" if i == 0 else "", part["words"]) for i, part in enumerate(parts[:MOST_REASONS])]
    rest = len(parts) - MOST_REASONS
    return lines + ([("", f"{rest} features more, with smaller parts: --json")] if rest > 0 else [])
