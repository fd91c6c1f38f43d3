"""dvc.lock of a commit, against DVC's own reading of the same files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from dvc.repo import Repo

from mlops.errors import StoreError
from mlops.git import Git
from mlops.store import lock
from mlops.store.model import model
from mlops.store.objects import Store
from tests.registry import files
from tests.registry.repository import Bundles, Repository, predictions

pytestmark = pytest.mark.slow


def edit(repository: Repository, name: str, change: Callable[[Any], None]) -> None:
    document = repository.document(name)
    change(document)
    repository.write(name, yaml.safe_dump(document, sort_keys=False))


def param(key: str, value: Any) -> Callable[[Repository], None]:
    return lambda repository: edit(repository, "params.yaml", lambda d: files.set_dotted(d, key, value))


def text(name: str, content: str) -> Callable[[Repository], Any]:
    return lambda repository: repository.write(name, content)


def stage(name: str, key: str, value: Any) -> Callable[[Repository], None]:
    return lambda repository: edit(repository, "dvc.yaml", lambda d: d["stages"][name].update({key: value}))


def other_features(repository: Repository) -> None:
    """As if preprocess alone had run again: train and evaluate have not seen what it wrote."""
    tables = files.features_of(predictions(seed=5))
    files.write_features(repository.folder / "data/features", tables, repository.folder / "models/serving")
    made = files.Hashed(repository.folder, "data/features")
    made.store(repository.cache)
    edit(repository, "dvc.lock", lambda d: d["stages"]["preprocess"].update(outs=[made.entry()]))


def forgotten(repository: Repository) -> None:
    edit(repository, "dvc.lock", lambda d: d["stages"].pop("train"))


def with_another_file_of_parameters(repository: Repository) -> None:
    """evaluate reads small.yaml too; its lock has the number as YAML 1.2 reads `1e-3`."""
    repository.write("small.yaml", "least: 1e-3\n")
    stage("evaluate", "params", ["evaluate", {"small.yaml": ["least"]}])(repository)
    edit(repository, "dvc.lock", lambda d: d["stages"]["evaluate"]["params"].update({"small.yaml": {"least": 0.001}}))
    repository.commit("Another file of parameters")


CHANGES: dict[str, tuple[Callable[[Repository], Any], set[str]]] = {
    "nothing": (lambda repository: None, set()),
    "code": (text("src/prepare.py", "ROWS = 601\n"), {"preprocess"}),
    "a file more in a folder": (text("src/fit/deep.py", "x = 1\n"), {"train"}),
    "what two stages read": (text("requirements.txt", "numpy==2.5.0\n"), {"preprocess", "train"}),
    "what no stage reads": (text("README.md", "hello\n"), set()),
    "a parameter": (param("n_estimators", 7), {"train"}),
    "a number written otherwise": (text("small.yaml", "least: 0.001  # the same\n"), set()),
    "a parameter of a section": (param("preprocess.cutoff", "none"), {"preprocess"}),
    "a parameter that no stage reads": (param("decision.value_saved", 5), set()),
    "the command": (stage("evaluate", "cmd", "python src/evaluate.py"), {"evaluate"}),
    "one more dependency": (stage("train", "deps", ["src/fit", "requirements.txt", "README.md"]), {"train"}),
    "one more parameter": (stage("evaluate", "params", ["evaluate", "seed"]), {"evaluate"}),
    "another file of parameters": (text("small.yaml", "least: 2\n"), {"evaluate"}),
    "one more output": (stage("train", "outs", ["models/serving", "models/more"]), {"train"}),
    "metrics by hand": (text("metrics/evaluate/metrics.json", "{}\n"), {"evaluate"}),
    "an output that changed under a stage": (other_features, {"train", "evaluate"}),
    "a stage that never ran": (forgotten, {"train"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_stale_names_the_stages_that_dvc_would_run(name: str, repository: Repository, bundles: Bundles) -> None:
    repository.write("README.md", "read me\n")
    repository.version(bundles["v1"])
    with_another_file_of_parameters(repository)
    change, expected = CHANGES[name]
    change(repository)
    commit = repository.commit("Changed")

    found = lock.stale(repository.git, commit, Store(repository.folder).listing)

    assert {line.partition(":")[0] for line in found} == expected
    assert {place.rpartition(":")[2] for place in Repo(str(repository.folder)).status()} == expected


def test_stale_says_what_changed(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"])
    repository.write("src/prepare.py", "ROWS = 1\n")
    param("n_estimators", 3)(repository)
    repository.write("metrics/evaluate/metrics.json", "{}\n")
    (repository.folder / "requirements.txt").unlink()
    edit(repository, "dvc.yaml", lambda d: d["stages"].pop("preprocess"))
    edit(repository, "dvc.yaml", lambda d: d["stages"]["evaluate"].update(deps=["models/serving", "new.csv"]))

    assert lock.stale(repository.git, repository.commit("Changed")) == [
        "train: requirements.txt is not in the commit",
        "train: n_estimators of params.yaml changed since it ran",
        "evaluate: new.csv is a new dependency since it ran",
        "evaluate: data/features/test.parquet is no dependency any more since it ran",
        "evaluate: src/evaluate.py is no dependency any more since it ran",
        "evaluate: metrics/evaluate is not what it wrote",
        "preprocess: dvc.lock has it, dvc.yaml does not",
    ]


def test_stale_needs_neither_data_nor_a_working_tree(repository: Repository, bundles: Bundles) -> None:
    old = repository.version(bundles["v1"])
    other_features(repository)
    new = repository.commit("Features")
    bare = Git(repository.bare())

    assert lock.stale(bare, old) == []
    assert lock.stale(bare, new) == [], "what a folder holds cannot be told without its list"


def test_a_file_behind_a_dvc_file_is_judged_by_it(repository: Repository, bundles: Bundles) -> None:
    repository.write(".gitignore", (repository.folder / ".gitignore").read_text() + "/data/source/**\n!**/*.dvc\n")
    repository.write("data/source/rows.csv", "a,b\n")
    pointer = {"outs": [{**files.Hashed(repository.folder, "data/source/rows.csv").entry(), "path": "rows.csv"}]}
    repository.write("data/source/rows.csv.dvc", yaml.safe_dump(pointer))
    stage("preprocess", "deps", ["data/source/rows.csv", "requirements.txt"])(repository)
    first = repository.version(bundles["v1"])
    pointer["outs"][0]["md5"] = "0" * 32
    repository.write("data/source/rows.csv.dvc", yaml.safe_dump(pointer))
    second = repository.commit("Other rows")

    assert lock.stale(repository.git, first) == []
    assert lock.stale(repository.git, second) == ["preprocess: data/source/rows.csv changed since it ran"]


def test_templates_are_named_not_guessed(repository: Repository, bundles: Bundles) -> None:
    repository.version(bundles["v1"])
    stage("evaluate", "cmd", "python src/evaluate.py ${seed}")(repository)
    (line,) = lock.stale(repository.git, repository.commit("Template"))
    assert line.startswith("evaluate: a template of dvc.yaml")


def test_the_lock_as_it_is(repository: Repository, bundles: Bundles) -> None:
    commit = repository.version(bundles["v1"], params={"n_estimators": 12})
    read = lock.read(repository.git, commit)

    assert list(read.stages) == ["preprocess", "train", "evaluate"]
    train, evaluate = read.stages["train"], read.stages["evaluate"]
    assert train.params["params.yaml"] == {"model": "xgboost", "n_estimators": 12, "seed": 42}
    assert evaluate.cmd == "python src/evaluate.py\ntrue"
    assert evaluate.uncached == {"metrics/evaluate"}
    assert dict.fromkeys(d.path for d in train.deps).keys() == {
        "data/features/train.parquet", "requirements.txt", "src/fit"
    }  # fmt: skip
    served = read.out("models/serving")
    assert served
    assert served.folder
    assert served.nfiles == len(list(bundles["v1"].iterdir()))
    assert served.size == sum(file.stat().st_size for file in bundles["v1"].iterdir())
    assert read.out("models/nothing") is None


def test_paths_of_a_stage_with_a_working_folder(repository: Repository) -> None:
    repository.write("src/in.txt", "1\n")
    md5 = hashlib.md5(b"1\n").hexdigest()
    pipeline = {"stages": {"a": {"wdir": "src", "cmd": "true", "deps": ["in.txt"], "outs": ["../out"]}}}
    entry = {
        "cmd": "true",
        "deps": [{"path": "in.txt", "hash": "md5", "md5": md5, "size": 2}],
        "outs": [{"path": "../out", "hash": "md5", "md5": "a" * 32, "size": 2}],
    }
    repository.write("dvc.yaml", json.dumps(pipeline))
    repository.write("dvc.lock", json.dumps({"schema": "2.0", "stages": {"a": entry}}))
    commit = repository.commit("A folder")

    assert lock.read(repository.git, commit).out("out") is not None
    assert lock.stale(repository.git, commit) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "has no dvc.lock: no pipeline ran for it"),
        ("stages: [", "dvc.lock of commit .* is not valid"),
        ("train: {}", "is not what DVC writes"),
        ("schema: '2.0'\nstages:\n  a:\n    cmd: x\n    outs:\n    - path: b\n      md5: ../../etc", "is no md5"),
        ("schema: '2.0'\nstages: [a]", "is not what DVC writes"),
    ],
)
def test_a_lock_that_cannot_be_read_is_one_line(repository: Repository, content: str | None, said: str) -> None:
    if content is not None:
        repository.write("dvc.lock", content)
    with pytest.raises(StoreError, match=said) as error:
        lock.read(repository.git, repository.commit("Broken"))
    assert "`" in str(error.value), "a next command is named"


def test_whose_model_it_is(repository: Repository, bundles: Bundles) -> None:
    made = repository.version(bundles["v1"])
    repository.notebook(bundles["v2"], experiment="mine")
    own = repository.git.text("for-each-ref", "--format=%(objectname)", "refs/exps/**/mine")

    pipeline, notebook = model(repository.git, made, "churn"), model(repository.git, own, "churn")

    assert (pipeline.path, pipeline.origin) == ("models/serving", "pipeline")
    assert (notebook.path, notebook.origin) == ("models/serving", "notebook")
    assert notebook.out.md5 != pipeline.out.md5


def test_a_commit_without_a_model_says_what_to_type(repository: Repository, bundles: Bundles) -> None:
    first = repository.git.commit("HEAD")
    made = repository.version(bundles["v1"])
    edit(repository, "dvc.lock", lambda d: d["stages"].pop("train"))
    half = repository.commit("Half")

    with pytest.raises(StoreError, match=r"has no dvc\.lock.*`dvc repro"):
        model(repository.git, first, "churn")
    with pytest.raises(StoreError, match="did you mean churn"):
        model(repository.git, made, "chrn")
    with pytest.raises(StoreError, match=r"models/serving of commit .* was made by no stage.*`dvc repro"):
        model(repository.git, half, "churn")


@pytest.mark.parametrize("digest", ["", "etag", None])
def test_a_dependency_without_a_digest_is_not_current(
    repository: Repository, bundles: Bundles, digest: str | None
) -> None:
    """Nothing to compare with: whoever emptied it could change the file behind it."""
    repository.version(bundles["v1"])

    def emptied(document: Any) -> None:
        for dep in document["stages"]["train"]["deps"]:
            if dep["path"] == "src/fit":
                dep.pop("md5")
                dep |= {} if digest is None else {"md5": digest}

    edit(repository, "dvc.lock", emptied)
    found = lock.stale(repository.git, repository.commit("By hand"))
    assert found == ["train: src/fit has no digest in dvc.lock"]


@pytest.mark.parametrize("size", [-5, None, "many", 1.5])
def test_a_size_that_is_none_is_refused(repository: Repository, bundles: Bundles, size: Any) -> None:
    repository.version(bundles["v1"])
    edit(repository, "dvc.lock", lambda d: d["stages"]["train"]["outs"][0].update(size=size))
    with pytest.raises(StoreError, match="is no size and no number of files"):
        lock.read(repository.git, repository.commit("By hand"))
