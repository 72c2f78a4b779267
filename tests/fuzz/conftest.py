"""Bad input of every kind: a named error or a right result, never a traceback.

`make test` tries the same few hundred cases each time; `make fuzz` thousands of new ones.
"""

import os

from hypothesis import HealthCheck, settings

for name, examples in (("short", 100), ("long", 2000)):
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,  # a loaded machine is no failure
        derandomize=name == "short",
        database=None,
        suppress_health_check=list(HealthCheck),
    )
settings.load_profile(os.environ.get("BURSAR_FUZZ", "short"))
