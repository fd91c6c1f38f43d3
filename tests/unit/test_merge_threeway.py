"""Merging dvc.lock: what is taken, what is dropped, what a person has to choose; and the text as DVC writes it."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import pytest
from dvc.utils.serialize import dumps_yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mlops.errors import StoreError
from mlops.merge import document
from mlops.merge.document import DATASETS, STAGES, Items
from mlops.merge.threeway import merge


def entry(run: int, deps: Mapping[str, str] | None = None, outs: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A record of a run; equal runs are equal records."""
    found: dict[str, Any] = {"cmd": f"run {run}"}
    for kind, listed in (("deps", deps), ("outs", outs)):
        if listed:
            found[kind] = [{"path": path, "hash": "md5", "md5": md5} for path, md5 in listed.items()]
    return found


def stages(**entries: Any) -> Items:
    return {(STAGES, name): value for name, value in entries.items()}


RUNS = st.builds(
    entry,
    st.integers(0, 2),
    st.dictionaries(st.sampled_from(["x", "y", "z"]), st.sampled_from(["1", "2"]), max_size=2),
    st.dictionaries(st.sampled_from(["x", "y", "z"]), st.sampled_from(["1", "2"]), max_size=1),
)
LOCKS = st.dictionaries(st.sampled_from(["a", "b", "c"]), RUNS).map(lambda found: stages(**found))
FROZEN = st.frozensets(st.sampled_from(["a", "b"]))


@given(st.none() | LOCKS, LOCKS, LOCKS, FROZEN)
def test_every_entry_is_one_that_a_side_has(base: Items | None, ours: Items, theirs: Items, frozen: Any) -> None:
    merged = merge(base, ours, theirs, frozen)
    for item, value in merged.kept.items():
        assert value in (ours.get(item), theirs.get(item))
        changed_by_both = item in ours and item in theirs and ours[item] != theirs[item]
        if changed_by_both:
            assert base is not None
            assert base.get(item) in (ours[item], theirs[item])


@given(st.none() | LOCKS, LOCKS, LOCKS, FROZEN)
def test_the_sides_may_be_swapped(base: Items | None, ours: Items, theirs: Items, frozen: Any) -> None:
    one, other = merge(base, ours, theirs, frozen), merge(base, theirs, ours, frozen)
    assert one.kept == other.kept
    for words in ("remade", "outdated", "contested"):
        assert set(getattr(one, words)) == set(getattr(other, words))


@given(st.none() | LOCKS, LOCKS, LOCKS, FROZEN)
def test_a_stage_is_kept_told_of_or_removed_by_a_side(base: Any, ours: Items, theirs: Items, frozen: Any) -> None:
    merged = merge(base, ours, theirs, frozen)
    told = {*((STAGES, name) for name in merged.remade + merged.outdated), *merged.contested}
    for item in {*ours, *theirs}:
        removed = base is not None and item in base and not (item in ours and item in theirs)
        assert (item in merged.kept) + (item in told) == 1 or removed


@given(st.none() | LOCKS, LOCKS)
def test_what_both_sides_have_alike_stays(base: Items | None, lock: Items) -> None:
    merged = merge(base, lock, dict(lock))
    assert merged.kept == lock
    assert list(merged.kept) == list(lock)


@given(LOCKS, LOCKS)
def test_one_side_alone_is_taken_whole(base: Items, changed: Items) -> None:
    assert merge(base, base, changed).kept == changed
    assert merge(base, changed, base).kept == changed


OLD, OURS, THEIRS = entry(0), entry(1), entry(2)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "kept", "remade"),
    [
        (OLD, OLD, OLD, OLD, False),
        (OLD, OURS, OLD, OURS, False),
        (OLD, OLD, THEIRS, THEIRS, False),
        (OLD, OURS, OURS, OURS, False),
        (OLD, OURS, THEIRS, None, True),
        (OLD, None, OLD, None, False),
        (OLD, OLD, None, None, False),
        (OLD, None, None, None, False),
        (OLD, None, THEIRS, None, True),
        (OLD, OURS, None, None, True),
        (None, OURS, None, OURS, False),
        (None, None, THEIRS, THEIRS, False),
        (None, OURS, OURS, OURS, False),
        (None, OURS, THEIRS, None, True),
    ],
)
def test_each_case_of_a_stage(base: Any, ours: Any, theirs: Any, kept: Any, remade: bool) -> None:
    sides = [stages(train=value) if value else {} for value in (base, ours, theirs)]
    merged = merge(*sides)
    assert merged.kept.get((STAGES, "train")) == kept
    assert merged.remade == (("train",) if remade else ())


@pytest.mark.parametrize("one", [None, OLD])
def test_without_a_readable_base_only_what_is_alike_is_sure(one: Any) -> None:
    merged = merge(None, stages(a=OLD, b=OURS), stages(a=OLD, **({"b": one} if one else {})))
    assert merged.kept == stages(a=OLD)
    assert merged.remade == ("b",)


def test_a_frozen_stage_that_both_changed_is_for_a_person() -> None:
    base, ours, theirs = (stages(**{"ingest": run, "each@x": run}) for run in (OLD, OURS, THEIRS))
    merged = merge(base, ours, theirs, {"ingest", "each"})
    assert set(merged.contested) == {(STAGES, "ingest"), (STAGES, "each@x")}
    assert merged.remade == ()


def test_data_sets_that_both_changed_are_for_a_person() -> None:
    base: Items = {(DATASETS, "one"): {"rev": 1}, (DATASETS, "two"): {"rev": 1}}
    ours = base | {(DATASETS, "one"): {"rev": 2}, (DATASETS, "two"): {"rev": 2}}
    merged = merge(base, ours, base | {(DATASETS, "one"): {"rev": 3}})
    assert merged.kept == {(DATASETS, "two"): {"rev": 2}}
    assert merged.contested == ((DATASETS, "one"),)


def upstream(written: str) -> Any:
    return entry(0, outs={"data": written})


def test_a_stage_that_read_what_the_merge_replaced_is_dropped() -> None:
    base = stages(prepare=upstream("1"), train=entry(0, deps={"data": "1"}))
    ours = stages(prepare=upstream("1"), train=entry(1, deps={"data": "1"}))
    theirs = stages(prepare=upstream("2"), train=entry(0, deps={"data": "1"}))
    merged = merge(base, ours, theirs)
    assert merged.kept == stages(prepare=upstream("2"))
    assert merged.outdated == ("train",)
    assert merge(base, ours, theirs, {"train"}).kept[STAGES, "train"] == ours[STAGES, "train"]


def test_what_was_out_of_date_on_its_side_is_left_for_dvc_to_see() -> None:
    base = stages(prepare=upstream("1"), train=entry(0, deps={"data": "1"}), other=OLD)
    ours = base | stages(prepare=upstream("2"))
    theirs = base | stages(other=THEIRS)
    assert merge(base, ours, theirs).kept == ours | stages(other=THEIRS)


def test_outputs_of_one_path_in_two_folders_are_not_confused() -> None:
    reader = entry(0, deps={"data": "1"})
    base = stages(one=upstream("1"), two=upstream("3"), reader=reader)
    theirs = base | stages(two=upstream("4"))
    assert merge(base, base | stages(more=OURS), theirs).outdated == ()


KEYS = st.text("abz.é: #'\"-", min_size=1, max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=200) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)
WRITTEN = st.fixed_dictionaries(
    {"cmd": st.text(min_size=1, max_size=300)},
    optional={
        "deps": st.lists(st.fixed_dictionaries({"path": KEYS, "hash": st.just("md5"), "md5": KEYS}), min_size=1),
        "params": st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), min_size=1, max_size=2),
    },
)


def through(text: str) -> str:
    lock = document.parse(text.encode())
    return document.render(lock.items, lock)


@given(st.dictionaries(KEYS, WRITTEN, min_size=1, max_size=3))
def test_what_dvc_wrote_comes_out_as_it_went_in(entries: dict[str, Any]) -> None:
    # DVC writes a new entry from plain values and then reads and writes the file once more with each further stage.
    once = dumps_yaml({"schema": "2.0", "stages": entries})
    again = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(YAML().load(once), again)
    text = again.getvalue()
    assert through(text) == text


def test_data_sets_and_other_keys_come_out_as_they_went_in() -> None:
    text = (
        "schema: '2.0'\ndatasets:\n- name: rows\n  type: url\n  url: s3://x\n  rev: 3\nstages:\n  a:\n    cmd: 'true'\n"
        "later: 1\n"
    )
    assert through(text) == text


def test_without_stages_dvc_writes_the_next_one_on_lines_of_its_own() -> None:
    yaml = YAML()
    loaded = yaml.load(document.render({}))
    loaded["stages"] = loaded.get("stages", {})
    loaded["stages"]["a"] = {"cmd": "true"}
    again = io.StringIO()
    yaml.dump(loaded, again)
    assert again.getvalue() == "schema: '2.0'\nstages:\n  a:\n    cmd: 'true'\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<<<<<<< ours\nschema: '2.0'\n", "not valid YAML"),
        ("schema: '2.0\u0007'\n", "not valid YAML"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n  a:\n    cmd: y\n", "not valid YAML"),
        ("schema: '3.0'\nstages: {}\n", "schema 2.0"),
        ("train:\n  cmd: x\n", "schema 2.0"),
        ("- schema\n", "schema 2.0"),
        ("schema: '2.0'\nstages: [a]\n", "stage"),
        ("schema: '2.0'\nstages:\n  a: 1\n", "stage a"),
        ("schema: '2.0'\nstages:\n  a:\n    deps: []\n", "stage a"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n    deps: [x]\n", "stage a"),
        ("schema: '2.0'\ndatasets: [x]\n", "data sets"),
        ("schema: '2.0'\ndatasets:\n- name: x\n- name: x\n", "data sets"),
    ],
)
def test_what_is_no_lock_is_refused(text: str, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        document.parse(text.encode())


def test_an_empty_file_has_nothing() -> None:
    assert document.parse(b"").items == {}
