"""Cuts: which an arm has, and what they leave of its answers."""

import re
from typing import Any

import pytest

from study import cuts, space, worst_case
from study.config import Arm
from study.cuts import Cutter

TEXT = "def double(x):\n    return x + x\n\nIt doubles.\n"


class Words:
    """A tokenizer with a token for each word and the space behind it."""

    def encode(self, text: str, **_: object) -> list[str]:
        return re.findall(r"\S+\s*|\s+", text)

    def decode(self, tokens: list[str], **_: object) -> str:
        return "".join(tokens)


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worst_case, "encoding", lambda _: Words())


def arm(**params: Any) -> Arm:
    return Arm(model="m", template=0, params={"max_tokens": 1000, **params})


def cuts_of(table: dict[str, Any], **params: Any) -> list[dict[str, Any]]:
    searched = space.parse({"model": "m", **table}, api="chat")
    return [dict(cut.params) for cut in cuts.of(searched, arm(**params))]


def test_a_range_of_max_tokens_is_a_ladder_of_which_an_arm_has_the_rungs_below_its_own() -> None:
    table = {"max_tokens": {"low": 50, "high": 1000, "log": True}}
    limits = [cut["max_tokens"] for cut in cuts_of(table, temperature=0.5)]
    assert limits == [607, 368, 224, 136, 82, 50]
    assert [cut["max_tokens"] for cut in cuts_of(table, max_tokens=300)] == [224, 136, 82, 50]
    assert cuts_of(table, max_tokens=50) == []


def test_of_a_choice_of_max_tokens_the_smaller_values_are_cuts() -> None:
    assert [c["max_tokens"] for c in cuts_of({"max_tokens": [100, 1000, 400]})] == [400, 100]
    assert cuts_of({"max_tokens": 1000}) == []


def test_stops_are_cuts_where_they_hold_all_of_an_arms_and_more() -> None:
    table = {"max_tokens": 1000, "stop": [[], ["a"], ["b"], ["b", "a"]]}
    assert [c["stop"] for c in cuts_of(table)] == [["a"], ["b"], ["b", "a"]]
    assert [c["stop"] for c in cuts_of(table, stop=["a"])] == [["b", "a"]]
    assert cuts_of(table, stop=["a", "b"]) == []


def test_an_arm_never_has_more_cuts_than_a_result_may_hold() -> None:
    table = {"max_tokens": list(range(1, 50)), "stop": [[], *[[f"{k}"] for k in range(20)]]}
    assert len(cuts_of(table)) == cuts.CUTS_MAX


def test_a_stop_string_cuts_before_its_first_place() -> None:
    cutter = Cutter([TEXT], 12, model="m")
    [answer] = cutter.answers
    left = cutter.cut(answer, arm(stop=["doubles", "\n\nIt"]))
    assert left.text == "def double(x):\n    return x + x"
    assert left.tokens == pytest.approx(12 * len(left.text) / len(TEXT))


def test_what_a_cut_does_not_touch_is_the_same_answer() -> None:
    cutter = Cutter([TEXT, TEXT + "x"], 24, model="m")
    for answer in cutter.answers:
        assert cutter.cut(answer, arm(stop=["nowhere"], max_tokens=20)) is answer


def test_without_a_tokenizer_a_limit_leaves_its_share_of_the_text_less_a_tenth() -> None:
    cutter = Cutter(["a" * 400, "b" * 200], 150, model="m")
    assert [answer.tokens for answer in cutter.answers] == [100, 50]
    left = [cutter.cut(answer, arm(max_tokens=50)) for answer in cutter.answers]
    assert [len(one.text) for one in left] == [180, 180]
    assert [one.tokens for one in left] == [50, 50]  # never less than what may be billed


@pytest.mark.usefixtures("words")
def test_with_a_tokenizer_that_agrees_with_the_bill_a_limit_cuts_where_the_provider_would() -> None:
    cutter = Cutter(["one two three four", "five"], 5, model="m")
    assert [answer.tokens for answer in cutter.answers] == [4, 1]
    left = cutter.cut(cutter.answers[0], arm(max_tokens=3))
    assert (left.text, left.tokens) == ("one two three ", 3)


@pytest.mark.usefixtures("words")
def test_a_limit_falls_on_thoughts_that_were_billed_and_are_not_to_be_seen() -> None:
    cutter = Cutter(["one two three four"], 400, model="m")
    left = cutter.cut(cutter.answers[0], arm(max_tokens=399))
    assert (left.text, left.tokens) == ("", 399)
    assert cutter.cut(cutter.answers[0], arm(stop=["three"])).tokens == 400


def test_more_tokens_than_a_text_can_have_are_thoughts_without_a_tokenizer_too() -> None:
    cutter = Cutter(["a short one", ""], 400, model="m")
    assert cutter.cut(cutter.answers[0], arm(max_tokens=100)).text == ""


def test_empty_answers_share_what_was_billed_for_them() -> None:
    cutter = Cutter(["", ""], 10, model="m")
    assert [answer.tokens for answer in cutter.answers] == [5, 5]
    assert Cutter([], 0, model="m").answers == []
