"""Which column is predicted and which of its two values means churn."""

from __future__ import annotations

import shlex

import pyarrow as pa

from mlops.errors import TableError, nearest
from mlops.schema import Column
from mlops.table.distinct import Distinct
from mlops.table.values import canonical, tidy_word

POSITIVE = frozenset(
    {
        "true",
        "yes",
        "y",
        "t",
        "1",
        "churn",
        "churned",
        "churner",
        "left",
        "leave",
        "leaver",
        "leaving",
        "exited",
        "exit",
    }
    | {"attrited", "attrition", "lost", "cancelled", "canceled", "terminated", "unsubscribed", "inactive"}
    | {"attritedcustomer", "lostcustomer", "churnedcustomer", "closed", "gone", "quit", "deserted"}
    | {"ja", "oui", "si", "sí", "sim", "tak", "gekündigt", "résilié", "baja"}
)
NEGATIVE = frozenset(
    {"false", "no", "n", "f", "0", "-1", "notchurn", "notchurned", "nochurn", "nonchurn", "nonchurner", "nonchurned"}
    | {"loyal", "stay", "stayed", "stayer", "staying", "retained", "retain", "existing", "active", "current", "kept"}
    | {"remained", "renewed", "subscribed", "existingcustomer", "activecustomer", "currentcustomer", "loyalcustomer"}
    | {"retainedcustomer", "open", "nein", "non", "não", "nao", "nie", "nichtgekündigt", "aktiv", "actif", "activo"}
)
LISTED = 5


def decide(found: Distinct, positive: str | None) -> Column:
    """The target column: its two values as they are most often spelled, and which of them is churn.

    positive: what `--positive` said, in any spelling.

    Raises:
        TableError: not exactly two values, or nobody said which one means churn.
    """
    groups = _groups(found)
    name = found.name
    if len(groups) != 2:
        listed = ", ".join(repr(spelling) for spelling, _ in list(groups.values())[:LISTED])
        more = ", …" if len(groups) > LISTED else ""
        told = f"takes {len(groups)} values ({listed}{more})" if groups else "has no value at all"
        if len(groups) == 1:
            told = f"takes only one value, {listed}"
        raise TableError(f"{name} {told}; a target takes exactly two, name such a column with --target")
    spellings = {key: spelling for key, (spelling, _) in groups.items()}
    key = _told(name, spellings, positive) if positive is not None else _known(name, spellings)
    (other,) = set(spellings) - {key}
    return Column(name, "target", positive=spellings[key], negative=spellings[other])


def _groups(found: Distinct) -> dict[str, tuple[str, int]]:
    """What tells values apart → its most frequent spelling and how many rows have it, most frequent first."""
    keys, shown = canonical(found.words).to_pylist(), tidy_word(found.words).to_pylist()
    tally: dict[str, dict[str, int]] = {}
    for key, spelling, count in zip(keys, shown, found.counts.tolist(), strict=True):
        group = tally.setdefault(key, {})
        group[spelling] = group.get(spelling, 0) + count
    groups = {}
    for key, spelled in tally.items():
        best = min(spelled, key=lambda s, spelled=spelled: (-spelled[s], s))  # type: ignore[misc]
        groups[key] = (best, sum(spelled.values()))
    return dict(sorted(groups.items(), key=lambda item: (-item[1][1], item[1][0])))


def _told(name: str, spellings: dict[str, str], positive: str) -> str:
    key = str(canonical(pa.array([positive]))[0].as_py())
    if key not in spellings:
        both = " and ".join(map(repr, sorted(spellings.values())))
        raise TableError(f"--positive {positive!r}: {name} takes {both}{nearest(positive, spellings.values())}")
    return key


def _known(name: str, spellings: dict[str, str]) -> str:
    reduced = {"".join(c for c in key if c.isalnum() or key == "-1"): key for key in spellings}
    if len(reduced) == 2:
        for positive, negative in (list(reduced), list(reduced)[::-1]):
            if positive in POSITIVE and negative in NEGATIVE:
                return reduced[positive]
    first, second = (shlex.quote(word) for word in sorted(spellings.values()))
    raise TableError(f"{name} takes two values: say which one means churn, --positive {first} or --positive {second}")
