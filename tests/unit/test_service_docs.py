"""docs/service.md says of settings and refusals what the code does."""

import re
from dataclasses import fields
from pathlib import Path

from api.settings import Settings

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "service.md").read_text(encoding="utf-8")


def test_every_setting_is_in_its_table() -> None:
    for field in fields(Settings):
        empty = field.default is None or field.default == () or field.name == "api_keys"
        shown = "" if empty else f"`{field.default}`"
        assert f"| `MLOPS_{field.name.upper()}` | {shown} | {field.metadata['help']} |" in TEXT


def test_every_type_of_refusal_of_the_tests_is_named() -> None:
    tests = Path(__file__).resolve().parents[1] / "service" / "test_predict.py"
    types = set(re.findall(r'(?:400|413|415|422), \["body".*\], "(\w+)"', tests.read_text()))
    assert len(types) > 10
    assert [kind for kind in types if f"`{kind}`" not in TEXT] == []
