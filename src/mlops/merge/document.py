"""dvc.lock as the items that a merge takes or leaves (stages, data sets, whatever else there is) and as text."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mlops.errors import StoreError, one_line

SCHEMA = "2.0"
STAGES, DATASETS = "stages", "datasets"
Item = tuple[str, ...]
"""("stages", its name), ("datasets", its name), or the key of anything else at the top but the schema."""
Items = dict[Item, Any]


@dataclass(frozen=True)
class Lock:
    """A dvc.lock. items: what it holds, in its order; texts: the lines of each stage."""

    items: Items
    texts: Mapping[Item, str]


def parse(content: bytes) -> Lock:
    """What a dvc.lock holds; nothing where the file is empty.

    Raises:
        StoreError: it is not what DVC writes (conflict markers, another schema, no YAML). The message is half a line.
    """
    document = load(content)
    if document is None:
        return Lock({}, {})
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise StoreError(f"is not a dvc.lock of schema {SCHEMA}")
    items: Items = {}
    for key, value in document.items():
        if key == STAGES:
            items |= _stages(value or {})
        elif key == DATASETS:
            items |= _datasets(value or [])
        elif key != "schema":
            items[(str(key),)] = value
    return Lock(items, _texts(content.decode("utf-8"), document.get(STAGES) or {}))


def render(items: Items, *locks: Lock) -> str:
    """The text of a dvc.lock. A stage keeps the lines that it has in the first lock with this entry, to the byte:
    writing anew what was read is not always a copy (`3.2322125318923955e-07` ends in 54 then).
    """
    parts: dict[str, Any] = {}
    for item, value in items.items():
        key, *names = item
        if not names:
            parts[key] = value
        elif key == STAGES:
            lines = next(lock.texts[item] for lock in locks if item in lock.items and lock.items[item] == value)
            parts[key] = parts.get(key, "") + lines
        else:
            parts.setdefault(key, []).append(value)
    # Without any stage the key is left out: DVC would keep an empty `{}`, and write all stages on one line.
    texts = (f"{STAGES}:\n{value}" if key == STAGES else dump({key: value}) for key, value in parts.items())
    return dump({"schema": SCHEMA}) + "".join(texts)


def load(content: bytes) -> Any:
    """The document of a YAML file, read as DVC reads it.

    Raises:
        StoreError: it is not valid. The message is half a line.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        return YAML(typ="safe").load(content.decode("utf-8"))
    except (YAMLError, ValueError, RecursionError) as error:
        raise StoreError(f"is not valid YAML ({one_line(error)[:120]})") from None


def dump(document: Any) -> str:
    """The text that DVC writes."""
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    text = io.StringIO()
    yaml.dump(document, text)
    return text.getvalue()


def _stages(listed: Any) -> Items:
    found: Items = {}
    if not isinstance(listed, Mapping):
        raise StoreError("has no valid stages")
    for name, entry in listed.items():
        try:
            # All that a merge looks at.
            valid = bool(entry["cmd"]) and all(str(o["path"]) for k in ("deps", "outs") for o in entry.get(k) or ())
        except (AttributeError, KeyError, TypeError):
            valid = False
        if not valid or not isinstance(name, str):
            raise StoreError(f"has no valid entry for stage {name}")
        found[STAGES, name] = entry
    return found


def _datasets(listed: Any) -> Items:
    try:
        found: Items = {(DATASETS, str(one["name"])): one for one in listed}
    except (KeyError, TypeError):
        found = {}
    if len(found) != len(listed):
        raise StoreError("has data sets without names of their own")
    return found


def _texts(text: str, stages: Mapping[str, Any]) -> dict[Item, str]:
    """The lines of each stage; where they are not laid out as DVC does it, those that DVC would write."""
    ended = text if text.endswith("\n") else f"{text}\n"
    section = re.search(rf"^{STAGES}: *\n((?:(?: .*)?\n)*)", ended, re.MULTILINE)
    blocks = re.split(r"^(?=  \S)", section[1], flags=re.MULTILINE)[1:] if section else []
    if len(blocks) != len(stages):
        blocks = [""] * len(stages)
    return {
        (STAGES, name): block if _is(block, name, entry) else dump({STAGES: {name: entry}}).partition("\n")[2]
        for (name, entry), block in zip(stages.items(), blocks, strict=True)
    }


def _is(block: str, name: str, entry: Any) -> bool:
    try:
        return bool(load(block.encode("utf-8")) == {name: entry})
    except StoreError:
        return False
