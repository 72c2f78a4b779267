"""The proposer: skopt behind plain arms."""

import json
import threading
from typing import Any

import pytest
from skopt import Optimizer

from coordinator.proposer import DESIGN_MIN, OF_A_FIT, ProposerAhead, SkoptProposer
from study import space
from study.config import Arm

from .conftest import PRICES

TABLE: dict[str, Any] = {
    "model": ["dear", "cheap"],
    "prompt": ["{a}", "b{a}"],
    "stop": [["\nclass", "\ndef"], ["\n"]],
    "max_tokens": {"low": 50, "high": 1000, "log": True},
    "presence_penalty": {"low": -1.0, "high": 1.0},
    "user": "me",
}


def proposer(table: dict[str, Any] | None = None, *, seed: int = 0) -> SkoptProposer:
    searched = space.parse({**TABLE, **(table or {})}, api="chat")
    return SkoptProposer(searched, prices=PRICES, seed=seed)


def proposed(source: SkoptProposer, count: int) -> list[Arm]:
    arms: list[Arm] = []
    for _ in range(count):
        source.tell({arm: float(len(arm.key) % 3 + i) for i, arm in enumerate(arms)})
        arm = source.propose()
        assert arm is not None
        arms.append(arm)
    return arms


def test_arms_are_plain_json_within_their_ranges() -> None:
    for arm in proposed(proposer(), 12):
        assert Arm.from_dict(json.loads(json.dumps(arm.to_dict()))).key == arm.key
        assert ("temperature" in arm.params) != ("top_p" in arm.params)
        assert 50 <= arm.max_tokens <= 1000
        assert type(arm.params["max_tokens"]) is int
        assert -1.0 <= arm.params["presence_penalty"] <= 1.0
        assert arm.params["stop"] in (["\nclass", "\ndef"], ["\n"])
        assert arm.params["user"] == "me"


def test_the_first_proposals_cover_models_and_prompts_the_cheap_model_first() -> None:
    arms = proposed(proposer(), 4)
    assert len({(arm.model, arm.template) for arm in arms}) == 4
    assert arms[0].model == "cheap"


def test_samples_are_arms_of_the_space_that_may_still_be_proposed() -> None:
    source, other = proposer(seed=3), proposer(seed=3)
    drawn = source.sample(50)
    assert len({arm.key for arm in drawn}) == len(drawn) > 40
    assert all(50 <= arm.max_tokens <= 1000 for arm in drawn)
    assert proposed(source, 4) == proposed(other, 4)


def test_the_same_seed_proposes_the_same() -> None:
    assert proposed(proposer(seed=3), 8) == proposed(proposer(seed=3), 8)


def test_proposals_go_where_the_values_are_high() -> None:
    source = proposer({"prompt": "{a}", "stop": ["\n"], "presence_penalty": 0, "model": "cheap"})
    told: dict[Arm, float] = {}
    for _ in range(DESIGN_MIN + 20):
        source.tell(told)
        arm = source.propose()
        assert arm is not None
        told[arm] = -abs(arm.params.get("temperature", -1.0) - 0.3)
    late = list(told.values())[DESIGN_MIN + 5 :]
    assert sum(value > -0.25 for value in late) > len(late) / 2


def test_what_is_told_once_is_fitted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    fits = []

    def counted(*args: Any, **kwargs: Any) -> Optimizer:
        fits.append(args)
        return Optimizer(*args, **kwargs)

    monkeypatch.setattr("coordinator.proposer.Optimizer", counted)
    source = proposer()
    told = {arm: float(i) for i, arm in enumerate(proposed(source, DESIGN_MIN))}
    for values, count in ((told, 1), (told, 1), ({**told, next(iter(told)): 99.0}, 2)):
        source.tell(values)
        arms = [source.propose() for _ in range(OF_A_FIT // 2)]
        assert len({arm.key for arm in arms if arm} - {arm.key for arm in told}) == len(arms)
        assert len(fits) == count


def test_a_finite_space_is_proposed_in_full_without_repeats() -> None:
    table = {"temperature": [0, 0.5, 1], "max_tokens": 100, "presence_penalty": 0}
    source = proposer(table)
    arms = proposed(source, 24)
    assert len({arm.key for arm in arms}) == 24
    assert source.exhausted
    assert source.propose() is None


def test_a_space_of_one_arm_is_proposed_once() -> None:
    source = SkoptProposer(
        space.parse({"model": "cheap", "temperature": 0.5, "max_tokens": 9}, api="chat"),
        prices=PRICES,
        seed=0,
    )
    assert source.propose() == Arm(
        model="cheap", template=0, params={"temperature": 0.5, "max_tokens": 9}
    )
    assert source.propose() is None
    assert source.exhausted


def test_what_was_seen_in_an_earlier_life_is_not_proposed_again() -> None:
    first = proposed(proposer(), 6)
    second = proposer()
    for arm in first:
        second.seen(arm)
    assert not {arm.key for arm in proposed(second, 6)} & {arm.key for arm in first}


def test_a_failure_in_the_thread_is_raised_where_proposals_are_asked_for() -> None:
    class Broken(SkoptProposer):
        def propose(self) -> Arm | None:
            raise ValueError("broken")

    searched = space.parse(TABLE, api="chat")
    ahead = ProposerAhead(Broken(searched, prices=PRICES, seed=0))
    assert ahead.propose() is None
    for thread in threading.enumerate():
        if thread.name == "proposer":
            thread.join(timeout=10)
    with pytest.raises(RuntimeError, match="proposer failed"):
        ahead.propose()
