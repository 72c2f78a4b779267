"""A worker on a tether: it ends when the process that started it has ended, however that ended.

Run as `python -m bursar.tethered ...` with the worker's own arguments. Its standard input is a pipe
whose other end the coordinator holds; the kernel closes that end even after kill -9, so that no
worker is left behind to spend money for nobody.
"""

import os
import runpy
import signal
import sys
import threading


def _end_with_the_other_end() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_other_end, name="tether", daemon=True).start()
    sys.argv[0] = "workers"
    runpy.run_module("workers", run_name="__main__", alter_sys=True)
