"""Interruption: Ctrl-C and SIGTERM ask a study to end in order; the second one leaves at once."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopped_by_signals(on_first: Callable[[], None] = lambda: None) -> Iterator[threading.Event]:
    """Yield an event that the first signal sets; the second one raises KeyboardInterrupt.

    Elsewhere than in the main thread Python hears no signals; then the event is only yielded.

    Args:
        on_first: called at the first signal, to say what happens now.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def hear(number: int, frame: FrameType | None) -> None:
        del number, frame
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        on_first()

    before = {number: signal.signal(number, hear) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
