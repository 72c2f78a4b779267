"""The choice of a Python: in sh, since it must work where there is none that is new enough."""

import subprocess
from pathlib import Path

import pytest

OLD = "#!/bin/sh\nexit 1\n"  # what the version check of an old Python comes to
NEW = '#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "$(basename "$0") runs $*"\n'


def run(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", root / "scripts" / "python", "-m", "scripts.setup"],
        env={"PATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def folder(tmp_path, program):
    program(tmp_path / "basename", '#!/bin/sh\necho "${1##*/}"\n')
    return tmp_path


def test_the_first_python_that_is_new_enough_is_run(root, folder, program):
    program(folder / "python3", NEW)
    program(folder / "python3.12", NEW)
    assert run(root, folder).stdout == "python3 runs -m scripts.setup\n"


def test_an_old_python_is_passed_over(root, folder, program):
    program(folder / "python3", OLD)
    program(folder / "python3.12", NEW)
    assert run(root, folder).stdout == "python3.12 runs -m scripts.setup\n"


def test_without_a_python_it_says_what_to_install_and_ends_with_4(root, folder, program):
    program(folder / "python3", OLD)
    ended = run(root, folder)
    assert ended.returncode == 4
    assert "Python 3.11 or newer" in ended.stderr
    assert "apt-get install python3" in ended.stderr
