import os
import subprocess
import sys
import time

import pytest

from sandbox import owner

NOW_S = 1_800_000_000.0


def labels_of(pid: int, **changes: str) -> dict[str, str]:
    labels = owner.labels("a-study", 60)
    place, _, started = labels[owner.OWNER].split(" ")
    return {**labels, owner.OWNER: f"{place} {pid} {started}", **changes}


def test_the_labels_name_the_study():
    assert owner.labels("a-study", 60)["bursar.study"] == "a-study"


def test_what_its_owner_still_wants_is_not_abandoned():
    labels = owner.labels("a-study", 60)
    assert not owner.is_abandoned(labels, float(labels[owner.DEADLINE]) - 1)


def test_a_box_that_was_given_up_is_abandoned_whatever_becomes_of_it_later():
    box = owner.hold()
    labels = owner.labels("a-study", 60, box=box)
    assert not owner.is_abandoned(labels, 0)
    owner.release(box)
    assert owner.is_abandoned(labels, 0)


def test_what_boxes_another_process_wants_is_not_for_us_to_say():
    labels = owner.labels("a-study", 60, box="never held here")
    place, _, _ = labels[owner.OWNER].split(" ")
    labels[owner.OWNER] = f"{place} {os.getppid()} {owner._started(os.getppid())}"
    assert not owner.is_abandoned(labels, 0)


def test_what_is_past_its_deadline_is_abandoned():
    labels = owner.labels("a-study", 60)
    assert owner.is_abandoned(labels, float(labels[owner.DEADLINE]) + 1)


def test_what_a_dead_process_owned_is_abandoned():
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    assert owner.is_abandoned(labels_of(process.pid), 0)


def test_a_pid_used_again_is_another_owner():
    labels = labels_of(os.getpid())
    place, pid, started = labels[owner.OWNER].split(" ")
    labels[owner.OWNER] = f"{place} {pid} {int(started) - 1}"
    assert owner.is_abandoned(labels, 0)


def test_an_owner_on_another_machine_is_left_to_its_deadline():
    labels = labels_of(1, **{owner.OWNER: "elsewhere/1 4711 99"})
    assert not owner.is_abandoned(labels, 0)
    assert owner.is_abandoned(labels, float(labels[owner.DEADLINE]) + 1)


@pytest.mark.parametrize("broken", [{}, {owner.DEADLINE: "soon"}])
def test_labels_that_cannot_be_read_are_past_their_deadline(broken):
    assert owner.is_abandoned(broken, NOW_S)


def test_a_host_out_of_descriptors_takes_nobody_for_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = owner.labels("s", 60.0)

    def out_of_descriptors(*_: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("builtins.open", out_of_descriptors)
    assert not owner.is_abandoned(ours, time.time())
