"""One run: one thread reads ahead, several check and score, the rows are written in the file's order."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mlops.batch.model import Model, choose
from mlops.batch.request import Request
from mlops.batch.sink import Output, Part, Quarantine
from mlops.batch.source import Source, open_source
from mlops.batch.worker import Cell, Done, Worker
from mlops.errors import DataError

Progress = Callable[[int, int], None]
"""Called with the rows done since the last call, and how many the file has, as far as is known by now."""

AHEAD = 2  # pieces that wait beside those being scored
REASONS = 5  # that a message names
SHOWN = 60  # characters of a value in a message


@dataclass
class Summary:
    """What a run did. reasons: "price is not a number" → rows; unknown: column → rows of levels training never saw."""

    model: Model
    predicted_at: str
    scored: int = 0
    quarantined: int = 0
    churn: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)
    example: Cell | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """All rows of the file."""
        return self.scored + self.quarantined

    def count(self, done: Done) -> None:
        """Add a piece whose rows are numbered in the file."""
        self.scored += done.table.num_rows
        self.quarantined += done.quarantined
        self.churn += done.churn
        self.unknown.update(done.unknown)
        self.reasons.update(f"{column} {reason}".strip() for _, column, reason, _ in done.cells)
        if done.cells and self.example is None:
            self.example = done.cells[0]


def predict(request: Request, progress: Progress = lambda rows, expected: None) -> Summary:
    """Score a file. The output and the quarantine file are replaced at the end, or not at all.

    Raises:
        TableError: input or output cannot be what they are named to be.
        BundleError: no model, or not the one that its manifest names.
        DataError: more rows are bad than `max_bad` allows.
    """
    started = time.perf_counter()
    source = open_source(request.input)
    try:
        model = choose(request.models, request.stage)
        summary = Summary(model, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        worker = Worker(request, model, source, summary.predicted_at)
        with Part(request.output) as part, Part(request.quarantine) as aside:
            with Output(part, worker.schema) as output:
                quarantine = Quarantine(aside)
                for done, expected in _counted(_in_order(source, worker, request.threads), source, summary):
                    output.write(done.table)
                    quarantine.write(done.cells)
                    progress(done.table.num_rows + done.quarantined, expected)
                _refuse_too_many(summary, request)
                output.close()
                quarantine.close()
            aside.commit()
            part.commit()
    finally:
        source.close()
    summary.seconds = time.perf_counter() - started
    return summary


def _counted(pieces: Iterator[tuple[Done, float]], source: Source, summary: Summary) -> Iterator[tuple[Done, int]]:
    """Pieces with their rows numbered in the file, added to the summary; each with how many rows the file may have."""
    before = 0
    for done, share in pieces:
        placed = done.behind(before)
        summary.count(placed)
        yield placed, source.rows or round(summary.rows / share)
        before += done.span
    summary.warnings += source.warnings


def _in_order(source: Source, worker: Worker, threads: int) -> Iterator[tuple[Done, float]]:
    """The file's pieces, worked on side by side, in their order; each with the share of the file that ends with it."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="score")
    waiting: deque[tuple[Future[Done], float]] = deque()
    try:
        for piece in source.pieces(worker.selection):
            waiting.append((pool.submit(worker, piece), source.share_read))
            if len(waiting) >= threads + AHEAD:
                done, share = waiting.popleft()
                yield done.result(), share
        while waiting:
            done, share = waiting.popleft()
            yield done.result(), share
    finally:
        pool.shutdown(cancel_futures=True)


def _refuse_too_many(summary: Summary, request: Request) -> None:
    if summary.quarantined <= request.max_bad * summary.rows:
        return
    reasons = [f"{reason} ({count:,})" for reason, count in summary.reasons.most_common(REASONS)]
    more = len(summary.reasons) - len(reasons)
    assert summary.example is not None
    row, column, _, value = summary.example
    raise DataError(
        f"{request.input}: {summary.quarantined:,} of {summary.rows:,} rows ({summary.quarantined / summary.rows:.2%})"
        f" cannot be scored, --max-bad allows {request.max_bad:.2%}: {', '.join(reasons)}"
        f"{f' and {more} reasons more' if more > 0 else ''}; the first is row {row}"
        f"{f', {column}' if column else ''}: {value[:SHOWN]!r}; nothing was written; mend the file or raise --max-bad"
    )
