"""Study files of every kind of wrong: field, value, remedy; exit code 2 or 3; not a cent."""

import json
import math
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from bursar import study_file
from bursar.cli.reported import Unexpected, translated
from coordinator.data import split
from coordinator.start import check_budget, check_examples, check_size
from study import prices
from study.errors import BudgetTooSmall, BursarError, DataError, SpecError
from study.spec import StudySpec

from .odd import TEXTS, mutated

ROWS = [{"prompt": f"def f{i}():\n", "entry_point": f"f{i}", "test": "x", "k": i} for i in range(4)]
RIGHT: dict[str, Any] = {
    "name": "x",
    "data": {"path": "rows.jsonl", "split": "train", "shuffle_seed": 1, "tune_size": 2},
    "metric": {"name": "success", "mode": "max", "evaluator": "python_tests"},
    "budget": {"optimization_usd": 1.0, "inference_usd": 0.1, "trials": 4},
    "space": {
        "model": ["m", "gpt-5.4-nano"],
        "prompt": ["{prompt}", "{k} {{}} {prompt}"],
        "stop": [["\nclass", "\ndef"], []],
        "temperature_or_top_p": {"temperature": {"low": 0, "high": 1}, "top_p": [0.5, 1]},
        "max_tokens": {"low": 50, "high": 1000, "log": True},
        "n": {"low": 1, "high": 100},
        "presence_penalty": [0, 0.5],
    },
    "endpoint": {
        "api": "chat",
        "provider": "openai",
        "base_url": "http://h:1/v1",
        "timeout_s": 9.0,
    },
    "limits": {"requests_per_minute": 500, "tokens_per_minute": 20000, "concurrency": 32},
    "price": [{"model": "m", "input": 0.1, "output": 0.6}],
    "sandbox": {"timeout_s": 3.0, "memory_mb": 256, "packages": ["numpy"], "runtime": "runsc"},
    "run": {"seed": 0},
}
IMAGE = {**RIGHT, "sandbox": {"image": "mine:1", "evaluations_per_container": 4}}
CHAT = {**RIGHT, "space": {"model": "m", "messages": [{"role": "user", "content": "{prompt}"}]}}


def checked(spec: StudySpec) -> None:
    """All that is looked at before a cent is spent."""
    pinned = prices.pinned(spec)
    examples = split(ROWS, tune_size=spec.data.tune_size)
    check_size(spec, examples)
    check_examples(spec, examples.tune, scored_by_coordinator=False)
    check_budget(spec, pinned, dict(examples.tune))


def told(error: Exception) -> None:
    """It is one of ours: it has a field and a remedy, it can be shown, and it is no fault of ours."""
    assert isinstance(error, SpecError | DataError | BudgetTooSmall), error
    assert not isinstance(translated(error), Unexpected)
    assert error.exit_code in (2, 3)
    assert len(str(error)) < 5000
    if isinstance(error, SpecError):
        assert error.field
        assert error.problem
        assert error.remedy
        assert "pydantic" not in str(error)


@given(mutated(RIGHT) | mutated(CHAT) | mutated(IMAGE))
@example({**RIGHT, "space": {**RIGHT["space"], "\ud800": [0, 0.5]}})
@example({**RIGHT, "sandbox": {"image": "mine:1", "packages": ["numpy"]}})
@example({**RIGHT, "sandbox": {"image": " "}})
@example({**RIGHT, "sandbox": {"packages": ["numpy", ""]}})
def test_tables(table: Any) -> None:
    if not isinstance(table, dict):
        return
    try:
        spec = StudySpec.parse(table)
    except BursarError as error:
        told(error)
        return
    # What is let in can be kept, and is the same when it is read again.
    assert StudySpec.parse(json.loads(spec.model_dump_json())) == spec
    try:
        checked(spec)
    except BursarError as error:
        told(error)


def toml(value: Any) -> str:
    """A value as TOML writes it, as far as TOML can; else as it would be mistyped."""
    match value:
        case bool():
            return str(value).lower()
        case float() if math.isnan(value) or math.isinf(value):
            return str(value)
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False)
        case list():
            return "[" + ", ".join(toml(inner) for inner in value) + "]"
        case dict():
            inner = ", ".join(f"{json.dumps(str(k))} = {toml(v)}" for k, v in value.items())
            return "{" + inner + "}"
        case _:
            return ""


def file_of(table: dict[str, Any]) -> str:
    """A study file, with a section for each table."""
    lines = [f"{name} = {toml(v)}" for name, v in table.items() if not isinstance(v, dict)]
    for name, inner in table.items():
        if isinstance(inner, dict):
            lines.append(f"[{json.dumps(name) if name in TEXTS else name}]")
            lines += [f"{key} = {toml(value)}" for key, value in inner.items()]
    return "\n".join(lines) + "\n"


SHALLOW = st.one_of(st.sampled_from(TEXTS), st.integers(), st.floats(), st.booleans(), st.just([]),
                    st.lists(st.text(max_size=5), max_size=3))  # fmt: skip
TWISTS = {
    "none": lambda b: b,
    "bom": lambda b: b"\xef\xbb\xbf" + b,
    "crlf": lambda b: b.replace(b"\n", b"\r\n"),
    "cr": lambda b: b.replace(b"\n", b"\r"),
    "latin-1": lambda b: b + "# caf\xe9".encode("latin-1"),
    "utf-16": lambda b: b.decode(errors="replace").encode("utf-16"),
    "nul": lambda b: b + b"\x00",
    "cut": lambda b: b[: len(b) // 2],
    "twice": lambda b: b + b,
    "doubled key": lambda b: b + b"\nseed = 1\nseed = 2\n",
    "deep": lambda b: b + b"\nx = " + b"[" * 5000,
    "long number": lambda b: b + b"\nx = " + b"9" * 5000,
    "date": lambda b: b + b"\nx = 1979-05-27T07:32:00Z\n",
}


@given(mutated(RIGHT, values=SHALLOW), st.sampled_from(sorted(TWISTS)))
@example(RIGHT, "none")
def test_files(tmp_path_factory: Any, table: Any, twist: str) -> None:
    if not isinstance(table, dict):
        return
    file = Path(str(tmp_path_factory.getbasetemp())) / "fuzz.toml"
    file.write_bytes(TWISTS[twist](file_of(table).encode("utf-8", "surrogatepass")))
    try:
        checked(study_file.read(file))
    except BursarError as error:
        told(error)


@given(st.binary(max_size=200))
def test_bytes(tmp_path_factory: Any, content: bytes) -> None:
    file = Path(str(tmp_path_factory.getbasetemp())) / "fuzz.toml"
    file.write_bytes(content)
    try:
        study_file.read(file)
    except BursarError as error:
        told(error)
