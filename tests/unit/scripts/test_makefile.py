"""The Makefile: it lists its targets, passes on what tests come to, and says what was not tested."""

import shutil
import subprocess

import pytest


@pytest.fixture
def make(tmp_path, root, program, clean_environment):
    """Runs make in a folder where the set-up is done and the tests end as told."""
    shutil.copy(root / "Makefile", tmp_path)
    program(tmp_path / "scripts" / "python", "#!/bin/sh\n")

    def run(*targets: str, tests_exit: int = 0, environment: str = ""):
        program(tmp_path / ".venv" / "bin" / "pytest", f"#!/bin/sh\necho ran\nexit {tests_exit}\n")
        (tmp_path / ".bursar").mkdir()
        (tmp_path / ".bursar" / "env").write_text(environment)
        return subprocess.run(
            ["make", *targets],
            cwd=tmp_path,
            env=clean_environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_make_alone_lists_the_targets_with_a_line_each(make):
    lines = make().stdout.splitlines()
    targets = [line.split()[0] for line in lines]
    assert targets == [
        "help",
        "setup",
        "demo",
        "test",
        "fuzz",
        "check",
        "lint",
        "types",
        "bench",
        "bench-search",
        "bench-search-short",
        "bench-search-cost",
        "bench-sandbox",
        "bench-sandbox-speed",
        "bench-scale",
        "chaos",
        "down",
        "clean",
    ]
    assert all(len(line.split()) > 1 for line in lines)


def test_a_failing_test_fails_make(make):
    assert make("test", tests_exit=1).returncode != 0


def test_passing_tests_pass_and_say_no_more(make):
    ended = make("test")
    assert (ended.returncode, ended.stdout) == (0, "ran\n")


def test_what_could_not_be_tested_is_the_last_line(make):
    ended = make("test", environment="BURSAR_UNTESTED='NOT TESTED: containers'\n")
    assert (ended.returncode, ended.stdout) == (0, "ran\nNOT TESTED: containers\n")


def test_a_failure_is_not_hidden_by_what_could_not_be_tested(make):
    ended = make("test", tests_exit=1, environment="BURSAR_UNTESTED='NOT TESTED: containers'\n")
    assert ended.returncode != 0
