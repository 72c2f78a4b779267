"""What `make demo` runs: the main job on the bundled problems, as a rehearsal."""

import os
import subprocess
import sys
from pathlib import Path

STUDY = Path("examples") / "starter.toml"
BURSAR = Path(sys.executable).parent / "bursar"
NO_CONTAINERS = """\
##################################################################################################
#  NO CONTAINERS: no Docker engine is to be had on this machine (see above).                     #
#  A rehearsal's synthetic completions are bursar's own programs, so they run as plain processes #
#  here. Nothing else ever runs that way: a real model's answers need an engine.                 #
##################################################################################################
"""


def main() -> int:
    """Rehearse the starter study and show what it came to.

    Returns:
        The exit code of the command.
    """
    print("bursar finds the cheapest way to get good answers from an LLM API. This demo tunes")
    print(f"model, prompt, temperature, max_tokens and n for {STUDY}: forty Python problems,")
    print("twenty of them to tune. It is a REHEARSAL: a stand-in answers, no money is spent.\n")
    if os.environ.get("BURSAR_NO_ENGINE"):
        print(NO_CONTAINERS, flush=True)
    command = [str(BURSAR), "rehearse", str(STUDY)]
    print("$ bursar rehearse", STUDY, flush=True)
    return subprocess.run(command, check=False).returncode  # noqa: S603 (our own command)


if __name__ == "__main__":
    sys.exit(main())
