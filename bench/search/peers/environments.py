"""Virtual environments of the peers, and of the picture: packages that would not live together with ours."""

import subprocess
import sys
import venv
from pathlib import Path
from typing import Final

PACKAGES: Final = {
    "flaml": (
        "flaml[openai]==1.2.0",
        "numpy<2",
        "pandas<2.2",
        "scikit-learn<1.4",
        "scipy<1.12",
        "sqlalchemy<2",
    ),
    "optuna": ("optuna==5.0.0",),
    "picture": ("matplotlib>=3.10,<4",),
}


def python(name: str, *, folder: Path) -> str:
    """The interpreter of an environment, made if it is not there."""
    place = folder / "peers" / name
    stamp, wanted = place / "installed", "\n".join(PACKAGES[name])
    interpreter = place / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"making the virtual environment of {name}", file=sys.stderr, flush=True)
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([interpreter, "-m", "pip", "install", "-q", *PACKAGES[name]], check=True)
        stamp.write_text(wanted)
    return str(interpreter)
