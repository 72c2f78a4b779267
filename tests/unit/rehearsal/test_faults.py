"""The plan of faults: what strikes which call."""

import pytest

from rehearsal import FAULT_KINDS, Fault
from rehearsal.errors import ApiError
from rehearsal.faults import FaultPlan


def plan(*faults: Fault | dict[str, object], seed: int = 0) -> FaultPlan:
    made = FaultPlan(seed=seed)
    made.set(faults)
    return made


def test_the_next_calls_are_struck_and_then_no_more() -> None:
    faults = plan({"kind": "500", "next": 2})
    assert [faults.strike(call).kind for call in range(4)] == ["500", "500", None, None]
    assert [fault.next for fault in faults.read()] == [0]


def test_a_probability_strikes_its_share_and_the_same_calls_again() -> None:
    struck = [plan({"kind": "429", "probability": 0.3}).strike(call).kind for call in range(2000)]
    again = [plan({"kind": "429", "probability": 0.3}).strike(call).kind for call in range(2000)]
    other = [
        plan({"kind": "429", "probability": 0.3}, seed=1).strike(call).kind for call in range(2000)
    ]
    assert struck == again != other
    assert struck.count("429") / 2000 == pytest.approx(0.3, abs=0.04)


def test_a_slow_answer_may_go_wrong_as_well() -> None:
    mishap = plan({"kind": "slow", "delay_s": 2}, {"kind": "cut_after", "next": 1}).strike(1)
    assert (mishap.kind, mishap.delay_s) == ("cut_after", 2)


@pytest.mark.parametrize(
    ("fault", "param"),
    [
        ({"kind": "meteor"}, "kind"),
        ({"probability": 1}, "kind"),
        ("500", "kind"),
        ({"kind": "500", "often": 1}, "often"),
        ({"kind": "500", "probability": "high"}, "probability"),
    ],
)
def test_a_fault_that_is_none_is_refused_by_name(fault: dict[str, object], param: str) -> None:
    with pytest.raises(ApiError) as caught:
        plan(fault)
    assert caught.value.param == param


def test_every_kind_can_be_asked_for() -> None:
    assert [plan({"kind": kind}).strike(1).kind for kind in FAULT_KINDS if kind != "slow"] == [
        kind for kind in FAULT_KINDS if kind != "slow"
    ]
