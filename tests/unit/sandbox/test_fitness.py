"""Whether a worker may run programs on a host, told from checks that are handed in."""

from pathlib import Path

import pytest

from sandbox import Check, SandboxError, UnusableSetting, fitness
from sandbox.fitness import UnfitHost, expect_fit
from sandbox.selfcheck import PROBES, START


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitness, "_name", lambda *_: "this-host")


def check(name: str, *, ok: bool) -> Check:
    return Check(name=name, ok=ok, detail="what it said")


class Tries:
    """Checks that say one thing after another, and count."""

    def __init__(self, *said: Check) -> None:
        self.said, self.count = said, 0

    def __call__(self) -> list[Check]:
        self.count += 1
        return [self.said[min(self.count, len(self.said)) - 1]]


def test_a_host_that_keeps_its_promises_is_tried_once(tmp_path: Path):
    tries = Tries(check("network off", ok=True))
    expect_fit(checks=tries, folder=tmp_path)
    expect_fit(checks=tries, folder=tmp_path)
    assert tries.count == 1


def test_a_promise_that_is_broken_twice_is_named_and_not_kept_in_mind(tmp_path: Path):
    tries = Tries(check("network off", ok=False))
    for times in (2, 4):
        with pytest.raises(UnfitHost, match=r"'network off' \(what it said\).*python -m sandbox"):
            expect_fit(checks=tries, folder=tmp_path)
        assert tries.count == times


def test_a_check_that_fails_once_is_tried_again(tmp_path: Path):
    tries = Tries(check("pids", ok=False), check("pids", ok=True))
    expect_fit(checks=tries, folder=tmp_path)
    expect_fit(checks=tries, folder=tmp_path)
    assert tries.count == 2


@pytest.mark.parametrize("name", [START, *(probe.name for probe in PROBES)])
def test_each_named_check_that_fails_keeps_a_worker_from_starting(name: str, tmp_path: Path):
    with pytest.raises(UnfitHost, match=name):
        expect_fit(checks=Tries(check(name, ok=False)), folder=tmp_path)


@pytest.mark.parametrize("name", ["engine", "image"])
def test_a_fault_that_may_pass_keeps_no_worker_from_starting(name: str, tmp_path: Path):
    tries = Tries(check(name, ok=False))
    expect_fit(checks=tries, folder=tmp_path)
    assert tries.count == 1


def test_what_a_study_brings_is_named_where_a_check_fails_with_it(tmp_path: Path):
    tries = Tries(check(START, ok=False))
    with pytest.raises(UnusableSetting) as caught:
        expect_fit(checks=tries, folder=tmp_path, image="mine:1", runtime="runsc")
    said = str(caught.value)
    assert said.startswith("sandbox.runtime = 'runsc' and sandbox.image = 'mine:1': ")
    assert f"'{START}' fails with it (what it said)" in said
    assert tries.count == 2


def test_another_image_engine_or_boot_is_tried_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tries = Tries(check("pids", ok=True))
    expect_fit(checks=tries, folder=tmp_path)
    monkeypatch.setattr(fitness, "_name", lambda *_: "another")
    expect_fit(checks=tries, folder=tmp_path)
    assert tries.count == 2


def test_where_nothing_can_be_kept_it_is_tried_each_time(tmp_path: Path):
    tries = Tries(check("pids", ok=True))
    for _ in range(2):
        expect_fit(checks=tries, folder=tmp_path / "none")
    assert tries.count == 2


def test_without_an_engine_nothing_is_tried(monkeypatch: pytest.MonkeyPatch):
    def no_engine(*_: object) -> str:
        raise SandboxError("no engine")

    monkeypatch.setattr(fitness, "_name", no_engine)
    tries = Tries(check("pids", ok=False))
    expect_fit(checks=tries)
    assert tries.count == 0


def test_a_setting_that_cant_be_had_is_told_and_nothing_is_tried(monkeypatch: pytest.MonkeyPatch):
    def no_image(*_: object) -> str:
        raise UnusableSetting({"image": "mine:1"}, "the engine has no such image", "Pull it.")

    monkeypatch.setattr(fitness, "_name", no_image)
    tries = Tries(check("pids", ok=True))
    with pytest.raises(UnusableSetting, match=r"sandbox\.image = 'mine:1': the engine"):
        expect_fit(checks=tries, image="mine:1")
    assert tries.count == 0
