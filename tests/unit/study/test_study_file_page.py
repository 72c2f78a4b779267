"""The page on the study file tells of every field, and its example is one."""

import re
import tomllib
from pathlib import Path

from study import space, spec
from study.spec import StudySpec

PAGE = (Path(__file__).parents[3] / "docs" / "study-file.md").read_text()


def test_its_example_is_a_study() -> None:
    [text] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    assert StudySpec.parse(tomllib.loads(text)).name == "tickets"


def test_it_tells_of_every_field() -> None:
    table = PAGE.partition("## All fields")[2]
    for section in spec.Section.__subclasses__():
        if section is not StudySpec:
            for field in section.model_fields:
                assert f"`{field}`" in table, f"{section.__name__}.{field}"
    for name in StudySpec.model_fields:
        assert f"[{name}]" in table or f"`{name}`" in table
    for parameter in {*space.OWN} - {"best_of"}:
        assert f"`{parameter}`" in table
