"""What kind each column is taken for, and what its owner is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlops import schema
from mlops.errors import TableError
from mlops.schema import Column
from mlops.table.dialect import Told
from mlops.table.distinct import named_like_id
from mlops.table.infer import Inference, Wishes, infer
from mlops.table.read import read_files

ROWS = 60


def inferred(folder: Path, columns: dict[str, list[str]], **wishes: object) -> Inference:
    """Infer a table of these columns and a target y, written with ; so that cells may hold commas."""
    rows = max(map(len, columns.values()), default=ROWS)
    columns = {**columns, "y": ["yes", "no"] * (rows // 2)}
    lines = [";".join(columns), *(";".join(cells) for cells in zip(*columns.values(), strict=True))]
    (folder / "t.csv").write_text("\n".join(lines) + "\n")
    sheets = read_files([folder / "t.csv"], Told(header=True, delimiter=";"))
    return infer(sheets, Wishes("y", **wishes), sheets[0].decimal)  # type: ignore[arg-type]


def one(folder: Path, values: list[str], name: str = "x", **wishes: object) -> tuple[Column, tuple[str, ...]]:
    values = (values * ROWS)[: max(ROWS, len(values) // 2 * 2)]
    others = {"spare": ["p", "q", "r"] * (len(values) // 3)} if len(values) % 3 == 0 else {}
    found = inferred(folder, {name: values, **others}, **wishes)
    return found.schema.column(name), found.warnings


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["1", "2.5", ""], "number"), (["0", "1"], "number"), (["1,234.5", "7.25", "8.5"], "number"),
        (["$5", "$1,200"], "number"), (["12%", "13%"], "number"), (["34.0", "1.0"], "number"),
        (["TRUE", "False", ""], "boolean"), (["T", "F"], "boolean"), (["Yes", "No"], "category"),
        (["00501", "01002", "90210"], "category"), (["a b", "c"], "category"), (["<1", "[2", "3,4"], "category"),
        (["2024-01-01", "2024-02-03"], "date"), (["2024-01-01T10:00:00Z", "2024-02-03"], "date"),
        (["31.01.2024", "01.02.2024"], "date"), (["01-Feb-24", "02-Mar-24"], "date"), (["2024-01", "2024-02"], "date"),
        (["20240101", "20240201"], "number"), (["12-15", "16-20", "21-30"], "category"), (["", "NA"], "ignore"),
        (["same"], "ignore"), (["None", "-", "Some"], "category"),
    ],
)  # fmt: skip
def test_kinds(tmp_path: Path, values: list[str], kind: str) -> None:
    assert one(tmp_path, values)[0].kind == kind


def test_eight_digits_are_a_date_under_a_name_that_says_so(tmp_path: Path) -> None:
    column, _ = one(tmp_path, ["20240131", "20240201"], "signup_date")
    assert (column.kind, column.format) == ("date", "%Y%m%d")
    assert one(tmp_path, ["202401", "202402"], "month")[0].format == "%Y%m"
    assert one(tmp_path, ["202401", "202413"], "monthly income")[0].kind == "number"


def test_day_and_month(tmp_path: Path) -> None:
    assert "day" not in " ".join(one(tmp_path, ["2024-01-02", "2024-03-04"])[1])
    assert one(tmp_path, ["31/01/2024", "01/02/2024"])[0].format == "%d/%m/%Y"
    assert one(tmp_path, ["01/31/2024", "01/02/2024"])[0].format == "%m/%d/%Y"
    column, warnings = one(tmp_path, ["03/04/2024", "01/02/2024"])
    assert column.format == "%m/%d/%Y"
    assert "day and month cannot be told apart" in warnings[0]


def test_a_few_words_among_numbers_mean_missing(tmp_path: Path) -> None:
    values = [str(i * 1.5) for i in range(56)] + ["unknown", "unknown", "n.a.", "unknown"]
    column, warnings = one(tmp_path, values)
    assert column == Column("x", "number", missing=("n.a.", "unknown"))
    assert "'n.a.' (1), 'unknown' (3) taken as missing" in warnings[0]
    assert one(tmp_path, [*values[:50], *["unknown"] * 10])[0].kind != "number"


def test_infinity_is_a_word(tmp_path: Path) -> None:
    assert one(tmp_path, [str(i * 1.5) for i in range(59)] + ["inf"])[0].missing == ("inf",)


def test_unusual_names(tmp_path: Path) -> None:
    names = ["yes", "1", "null", "a: b", "{x}", "# no", "'q'", 'é"', "2024-01-01", "~"]
    found = inferred(tmp_path, {name: ["p", "q", "r"] * 20 for name in names})
    (tmp_path / "schema.yaml").write_text(schema.dump(found.schema), encoding="utf-8")
    assert schema.load(tmp_path / "schema.yaml") == found.schema
    with pytest.raises(TableError, match="add --no-header"):
        inferred(tmp_path, {"plan": ["a", "b"] * 30}, id="c7")


def test_identifiers_are_left_out(tmp_path: Path) -> None:
    why = "looks like an identifier; name it with --id if it is"
    codes = [f"{i * 7919 % 9973}-AB" for i in range(ROWS)]
    assert one(tmp_path, codes)[0] == Column("x", "ignore", why=why)
    assert one(tmp_path, [str(i) for i in range(1, ROWS + 1)])[0].why == why
    assert one(tmp_path, [str(i * 17) for i in range(ROWS)], "user_id")[0].why == why
    assert one(tmp_path, [str(i * 17) for i in range(ROWS)], "income")[0].kind == "number"
    assert one(tmp_path, codes, id="x")[0].kind == "id"


def test_text_has_several_words(tmp_path: Path) -> None:
    assert one(tmp_path, [f"comment number {i} is long" for i in range(ROWS)])[0].kind == "text"


@pytest.mark.parametrize(
    ("name", "expected"),
    [("customerID", True), ("user_id", True), ("ID", True), ("CustomerId", True), ("RowNumber", True), ("id.1", True),
     ("paid", False), ("width", False), ("valid", False), ("identity", False), ("Account length", False),
     ("phone_minutes", False), ("Phone Calls", False), ("price_index", False), ("account_age", False),
     ("phone", True), ("phone_number", True), ("index", True), ("Kundennr", True), ("store_id", True)],
)  # fmt: skip
def test_names_of_identifiers(name: str, expected: bool) -> None:
    assert named_like_id(name) == expected


def test_time_is_the_date_that_makes_ids_unique(tmp_path: Path) -> None:
    ids = [f"k{i // 3}" for i in range(ROWS)]
    months = [f"2024-0{i % 3 + 1}-01" for i in range(ROWS)]
    joined = [f"2020-01-{i // 3 + 1:02}" for i in range(ROWS)]
    found = inferred(tmp_path, {"who": ids, "month": months, "joined": joined, "v": ["1", "2", "5"] * 20}, id="who")
    assert [c.kind for c in found.schema.columns] == ["id", "time", "date", "number", "target"]
    assert any("20 ids on 60 rows" in w for w in found.warnings)
    found = inferred(tmp_path, {"who": ids, "month": months, "joined": joined}, id="who", time="joined")
    assert found.schema.role("time") == Column("joined", "time")
    with pytest.raises(TableError, match="--time who: its values"):
        inferred(tmp_path, {"who": ids, "month": months}, time="who")


def test_duplicates_are_counted(tmp_path: Path) -> None:
    found = inferred(tmp_path, {"a": ["1", "2"] * 30, "b": [str(i % 6 / 2) for i in range(ROWS)]})
    assert "54 of 60 rows repeat an earlier row" in found.warnings[0]


def test_drop_and_wrong_names(tmp_path: Path) -> None:
    columns = {"plan": ["a", "b", "c"] * 20, "price": ["1", "2", "4", "5"] * 15}
    found = inferred(tmp_path, columns, drop=("plan",))
    assert found.schema.column("plan") == Column("plan", "ignore", why="dropped by --drop")
    with pytest.raises(TableError, match=r"t\.csv: no column 'prise'; did you mean price\?"):
        inferred(tmp_path, columns, drop=("prise",))
    with pytest.raises(TableError, match="no column 'zzz'; its columns are plan, price, y"):
        inferred(tmp_path, columns, id="zzz")
    with pytest.raises(TableError, match="y is named twice"):
        inferred(tmp_path, columns, drop=("y",))
    with pytest.raises(TableError, match="no column is left"):
        inferred(tmp_path, columns, drop=("plan", "price"))


def two(folder: Path, first: str, second: str, target: str = "y") -> Inference:
    (folder / "a.csv").write_text(first)
    (folder / "b.csv").write_text(second)
    return infer(read_files([folder / "a.csv", folder / "b.csv"], Told(target=target)), Wishes(target), ".")


def test_spellings_are_merged_between_files_only(tmp_path: Path) -> None:
    first = "v,k,y\n" + "1,Gold,yes\n2,Silver,no\n3,Gold,no\n" * 5
    second = "K,V,y\n" + "GOLD,1,yes\nSilver,2,no\n" * 5
    found = two(tmp_path, first, second)
    assert found.warnings[0] == "b.csv: column names differ in case: V as v, K as k"
    assert "k: 'GOLD' (5 rows) read as 'Gold'" in found.warnings
    found = two(tmp_path, first, first.replace("Silver", "GOLD"))
    assert "k: 'GOLD' and 'Gold' differ in case or blanks alone, in one file; kept apart" in found.warnings


def test_files_of_other_columns_are_refused(tmp_path: Path) -> None:
    first = "v,kind,y\n" + "1,a,yes\n2,b,no\n" * 5
    with pytest.raises(TableError, match=r"b\.csv has no column 'kind', which a\.csv has; did you mean kinds\?"):
        two(tmp_path, first, first.replace("kind", "kinds"))
    headerless = "1,a,2\n2,b,1\n3,a,1\n" * 5
    with pytest.raises(TableError, match=r"b\.csv has 4 columns, a\.csv has 3"):
        two(tmp_path, headerless, headerless.replace("\n", ",4\n"), "c2")


@pytest.mark.tables
@pytest.mark.parametrize(
    ("names", "wishes", "kinds", "warned"),
    [
        (["telco.csv"], Wishes("Churn"), {"ignore": 1, "number": 4, "category": 15, "target": 1}, 0),
        (
            ["telco_missing.csv"],
            Wishes("Churn", id="customerID"),
            {"id": 1, "number": 4, "category": 15, "target": 1},
            1,
        ),
        (["churn_bigml_80.csv", "churn_bigml_20.csv"], Wishes("Churn"), {"number": 16, "category": 3, "target": 1}, 0),
    ],
)
def test_real_tables(tables: Path, names: list[str], wishes: Wishes, kinds: dict[str, int], warned: int) -> None:
    sheets = read_files([tables / name for name in names], Told(target="Churn"))
    found = infer(sheets, wishes, ".")
    assert {kind: len(found.schema.of_kind(kind)) for kind in kinds} == kinds
    assert len(found.warnings) == warned
