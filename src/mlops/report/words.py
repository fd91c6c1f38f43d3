"""The report in words, from its facts: the one place where terminal, Markdown and HTML have theirs from."""

from __future__ import annotations

from collections.abc import Iterator

from mlops.report import change_words, charts, result_words, rules
from mlops.report.document import Block, Document, Listing, Section, Table
from mlops.report.facts import Facts, Value

FEW = 3


def document(facts: Facts) -> Document:
    """The whole report, most important first; sections with nothing to say are left out."""
    results, changes = result_words.Words(facts), change_words.Words(facts)
    candidates = (
        results.metrics(), results.decisions(), results.slices(), results.calibration(), results.profit(),
        results.features(), _checks(facts), changes.params(), changes.policy(), changes.code(), changes.data(),
        changes.cost(), changes.environment(), charts.section(facts),
    )  # fmt: skip
    sections = tuple(section for section in candidates if section is not None)
    return Document(facts.headline, facts.passed, tuple(_opening(facts)), sections)


def _opening(facts: Facts) -> Iterator[Block]:
    """What a person with two minutes must know besides the verdict."""
    if facts.passed:
        yield "The gate lets it pass."
    else:
        yield "The gate refuses it."
        beyond = [reason.removeprefix(facts.headline).lstrip(": ") for reason in facts.reasons]
        if any(beyond):
            yield Listing(tuple(filter(None, beyond)), loud=True)
    notes = [*facts.notes, *_own_rules(facts.policy.shown), *_uncommitted(facts)]
    if notes:
        yield Listing(tuple(notes), loud=True)
    yield _compared(facts)


def _own_rules(changed: list[Value]) -> Iterator[str]:
    """What the branch changes of how it is judged: which model, by which metric, by which limits."""
    own = [entry for entry in changed if rules.judges(entry.name)]
    own.sort(key=lambda entry: rules.rank(entry.name))
    if own:
        told = ", ".join(f"{entry.name} {change_words.arrow(entry)}" for entry in own[:FEW])
        more = f" and {len(own) - FEW} more" if len(own) > FEW else ""
        yield f"it is judged by rules that it brings itself: {told}{more} (policy.yaml)"


def _uncommitted(facts: Facts) -> Iterator[str]:
    count = facts.compared.uncommitted_files
    if count:
        named = ", ".join(facts.compared.uncommitted[:FEW]) + (", …" if count > FEW else "")
        files = "a file" if count == 1 else f"{count} files"
        yield f"this is the report of HEAD; the working tree differs from it in {files}: {named}; `git commit` first"


def _compared(facts: Facts) -> str:
    at = facts.compared
    commits = "1 commit" if at.ahead == 1 else f"{at.ahead:,} commits"
    behind = f", which has {at.behind:,} more since" if at.behind else ""
    where = f"{at.head[:8]} ({commits}) compared with {at.base[:8]}, where it left {at.branch}{behind}"
    if at.first:
        where += f"; {at.branch} has no model there: a first version is compared with the base rate"
    if not at.rows:
        return f"{where}."
    if at.first:
        return f"{where}, {at.words}; on {at.rows:,} test rows of {at.customers:,} customers."
    return f"{where}; on {at.words} ({at.customers:,} customers)."


def _checks(facts: Facts) -> Section | None:
    if not facts.checks:
        return None
    found = [("ok" if c.passed else "waived" if c.waived else "FAILED", c) for c in facts.checks]
    rows = tuple((check.name, word, check.words) for word, check in found)
    loud = frozenset(i for i, (word, _) in enumerate(found) if word != "ok")
    table = Table(("check", "", "what was found"), rows, frozenset({0, 1, 2}), loud)
    return Section("Checks of the gate", (table,), folded=True)
