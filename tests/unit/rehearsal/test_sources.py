"""Drawing answers: synthetic ones by chance, recorded ones each at most once."""

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from rehearsal import Asked, Problem, Recorded, Synthetic
from rehearsal.errors import ApiError
from rehearsal.request import CompletionRequest

ROWS = [
    {
        "task_id": "clamp",
        "model": "m",
        "temperature": 0.8,
        "text": f"answer {number}",
        "max_tokens": 300,
    }
    for number in range(10)
] + [
    {"task_id": "clamp", "model": "m", "temperature": 0.0, "text": f"sure {number}"}
    for number in range(2)
]


def ask(**changed: Any) -> CompletionRequest:
    fields: dict[str, Any] = {
        "api": "chat",
        "model": "m",
        "text": "",
        "prompt_tokens": 1,
        "temperature": 0.8,
    }
    fields |= changed
    fields.setdefault("best_of", fields.get("n", 1))
    return CompletionRequest(**fields)


def texts(
    source: Synthetic | Recorded, problem: Problem, seed: int = 0, **changed: Any
) -> list[str]:
    drawn = source.draw(Asked(problem=problem, template=""), ask(**changed), seed=seed)
    return [completion.text for completion in drawn]


def test_the_same_seed_and_order_give_the_same_synthetic_answers(clamp: Problem) -> None:
    once, again, other = Synthetic(), Synthetic(), Synthetic()
    first = texts(once, clamp, n=20) + texts(once, clamp, n=20)
    assert first == texts(again, clamp, n=20) + texts(again, clamp, n=20)
    assert first[:20] != first[20:]
    assert first[:20] != texts(other, clamp, seed=1, n=20)


def test_how_draws_are_split_over_calls_and_cut_changes_nothing_else(clamp: Problem) -> None:
    split = Synthetic()
    in_two = texts(split, clamp, n=7) + texts(split, clamp, n=3)
    assert in_two == texts(Synthetic(), clamp, n=10)
    cut = texts(Synthetic(), clamp, n=10, tokens_max=5)
    assert all(whole.startswith(part) for whole, part in zip(in_two, cut, strict=True))


def test_at_temperature_zero_one_call_is_one_text_and_calls_may_differ(clamp: Problem) -> None:
    source = Synthetic()
    calls = [texts(source, clamp, n=5, temperature=0.0) for _ in range(30)]
    assert all(len(call) == 5 and len(set(call)) == 1 for call in calls)
    assert len({call[0] for call in calls}) > 1


def test_a_problem_without_solution_gets_a_filler(open_ended: Problem) -> None:
    assert set(texts(Synthetic(), open_ended, n=3)) == {"(rehearsal) no recorded answer"}


def test_recorded_answers_are_drawn_without_replacement_until_none_is_left(clamp: Problem) -> None:
    source = Recorded(ROWS)
    drawn = texts(source, clamp, n=6) + texts(source, clamp, n=4)
    assert sorted(drawn) == sorted(f"answer {number}" for number in range(10))
    with pytest.raises(ApiError) as caught:
        texts(source, clamp)
    assert (caught.value.status, caught.value.code) == (422, "cell_exhausted")


def test_a_refused_draw_takes_nothing(clamp: Problem) -> None:
    source = Recorded(ROWS)
    with pytest.raises(ApiError, match="10 recorded completions are left"):
        texts(source, clamp, n=11)
    assert len(texts(source, clamp, n=10)) == 10


def test_recorded_answers_come_in_a_seeded_order(clamp: Problem) -> None:
    assert texts(Recorded(ROWS), clamp, n=10) == texts(Recorded(ROWS), clamp, n=10)
    assert texts(Recorded(ROWS), clamp, n=10) != texts(Recorded(ROWS), clamp, n=10, seed=1)


@pytest.mark.parametrize(
    "changed", [{"temperature": 0.7}, {"temperature": None}, {"model": "other"}]
)
def test_an_unrecorded_cell_is_an_error_and_never_a_neighbour(
    clamp: Problem, changed: dict[str, Any]
) -> None:
    with pytest.raises(ApiError) as caught:
        texts(Recorded(ROWS), clamp, **changed)
    assert (caught.value.status, caught.value.code) == (404, "unrecorded_cell")


def test_a_request_without_temperature_gets_the_apis_default_cell(clamp: Problem) -> None:
    rows = [{"task_id": "clamp", "model": "m", "temperature": 1, "text": "default"}]
    assert texts(Recorded(rows), clamp, temperature=None) == ["default"]
    rows.append({"task_id": "clamp", "model": "m", "temperature": None, "text": "left out"})
    assert texts(Recorded(rows), clamp, temperature=None) == ["left out"]


def test_at_temperature_zero_a_call_takes_one_recorded_answer(clamp: Problem) -> None:
    source = Recorded(ROWS)
    assert len(set(texts(source, clamp, n=3, temperature=0.0))) == 1
    assert len(set(texts(source, clamp, n=3, temperature=0.0))) == 1
    with pytest.raises(ApiError, match="0 recorded completions are left of 2"):
        texts(source, clamp, temperature=0.0)


def test_an_answer_recorded_within_the_limit_is_not_cut_again(clamp: Problem) -> None:
    text = "x = 1\n" * 200
    rows = [
        {"task_id": "clamp", "model": "m", "temperature": 0.8, "text": text, "max_tokens": 300}
    ] * 2
    source = Recorded(rows)
    asked = Asked(problem=clamp, template="")
    (whole,) = source.draw(asked, ask(tokens_max=300), seed=0)
    assert (whole.text, whole.finish_reason, whole.tokens) == (text, "stop", 300)
    (part,) = source.draw(asked, ask(tokens_max=299), seed=0)
    assert (part.finish_reason, part.tokens) == ("length", 299)
    assert len(part.text) < len(text)


@pytest.mark.parametrize(
    ("suffix", "opener"), [(".jsonl", open), (".jsonl.gz", gzip.open), (".jsonl.xz", lzma.open)]
)
def test_recorded_answers_are_read_from_plain_and_compressed_files(
    tmp_path: Path, clamp: Problem, suffix: str, opener: Any
) -> None:
    path = tmp_path / f"recorded{suffix}"
    with opener(path, "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in ROWS)
    assert Recorded(path).models == {"m"}
    assert len(texts(Recorded(path), clamp, n=10)) == 10
