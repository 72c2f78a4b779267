"""The virtual environment: when it is made again, and what is said when it can't be."""

import pytest

from scripts import venv
from scripts.step import SetupError

# Stands in for the venv's Python: tells its version, notes every other call, and obeys.
PYTHON = """#!/bin/sh
if [ "$1" = -c ]; then echo {version}; exit 0; fi
echo "$@" >> {calls}
echo "no matching distribution" >&2
exit {exit_code}
"""


@pytest.fixture
def checkout(tmp_path):
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    (tmp_path / "constraints.txt").write_text("redis==8.1.0\n")
    return tmp_path


@pytest.fixture
def fake_python(checkout, program):
    def write(*, version: str = "3.11", exit_code: int = 0):
        text = PYTHON.format(version=version, exit_code=exit_code, calls=checkout / "calls")
        program(checkout / ".venv" / "bin" / "python", text)
        return checkout / "calls"

    return write


@pytest.mark.parametrize("source", ["pyproject.toml", "constraints.txt"])
def test_the_stamp_changes_with_what_the_environment_is_made_from(checkout, source):
    before = venv.stamp(checkout, version="3.11")
    (checkout / source).write_text("changed\n")
    assert venv.stamp(checkout, version="3.11") != before


def test_the_stamp_changes_with_the_version_of_python(checkout):
    assert venv.stamp(checkout, version="3.11") != venv.stamp(checkout, version="3.12")


def test_the_stamp_changes_with_the_place_of_the_checkout(checkout, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for source in ("pyproject.toml", "constraints.txt"):
        (moved / source).write_bytes((checkout / source).read_bytes())
    assert venv.stamp(checkout, version="3.11") != venv.stamp(moved, version="3.11")


def test_a_second_run_installs_nothing(checkout, fake_python):
    calls = fake_python()
    venv.see_to(checkout, log=checkout / "log")
    calls.unlink()
    assert "up to date" in venv.see_to(checkout, log=checkout / "log")
    assert not calls.exists()


def test_changed_constraints_are_installed_into_the_environment_that_is_there(
    checkout, fake_python
):
    calls = fake_python()
    venv.see_to(checkout, log=checkout / "log")
    (checkout / "constraints.txt").write_text("redis==8.1.1\n")
    assert "up to date" not in venv.see_to(checkout, log=checkout / "log")
    assert calls.read_text().count("pip install") == 2


def test_a_failed_install_says_why_and_is_tried_again(checkout, fake_python):
    calls = fake_python(exit_code=1)
    with pytest.raises(SetupError, match=r"(?s)no matching distribution.*run make again"):
        venv.see_to(checkout, log=checkout / "log")
    fake_python(exit_code=0)
    venv.see_to(checkout, log=checkout / "log")
    assert calls.read_text().count("pip install") == 2


def test_an_environment_of_an_old_python_does_not_count(checkout, fake_python):
    fake_python(version="3.9")
    assert venv.python_version(checkout / ".venv") is None


def test_an_environment_whose_python_is_gone_does_not_count(checkout, program):
    program(checkout / ".venv" / "bin" / "python", "#!/gone/python\n")
    assert venv.python_version(checkout / ".venv") is None


def test_without_ensurepip_and_without_root_it_says_what_to_install(checkout, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(SetupError, match="apt-get install python3-venv"):
        venv.see_to(checkout, log=checkout / "log")
