"""Lease: a coordinator's hold on a study, so that two never drive it."""

import threading
from collections.abc import Callable
from typing import Final

from study.errors import NotBegun, StudyBusy
from study.studies import Studies, StudyStatus, busy

LOOK_S: Final = 0.25
"""How often a lease that is held is looked at: a living holder renews it about once a second."""


class Lease:
    """The lease of one coordinator on one study.

    Args:
        studies: where the study is.
        study: its id.
        holder: the coordinator's own name.
        clock: seconds, monotonic.
    """

    def __init__(
        self, studies: Studies, study: str, holder: str, *, clock: Callable[[], float]
    ) -> None:
        self._studies, self._study, self._holder = studies, study, holder
        self._clock = clock

    def take(self, stop: threading.Event) -> None:
        """Take the study, at once if it is free; a holder that died is waited for.

        It is dead if it does not renew its lease for as long as that lasts, by our own clock: that
        holds even where the clock of Redis jumps.

        Args:
            stop: ends the waiting.

        Raises:
            StudyBusy: a living coordinator drives the study.
            NotBegun: `stop` was set.
        """
        since_s, before = self._clock(), self._studies.lease(self._study)
        while True:
            now = self._studies.lease(self._study)
            dead = ""
            if now is not None and before is not None:
                if now.holder != before.holder or now.left_ms > before.left_ms:
                    raise StudyBusy(busy(self._study))
                if self._clock() - since_s > self._studies.lease_ms / 1000:
                    dead = now.holder
            if now is None or dead:
                self._studies.take_lease(self._study, self._holder, instead_of=dead)
                return
            before = now
            if stop.wait(LOOK_S):
                raise NotBegun(f"stopped before it began. Go on with: bursar resume {self._study}")

    def renew(self) -> None:
        """Keep the study.

        Raises:
            StudyBusy: another coordinator took it meanwhile.
        """
        self._studies.renew_lease(self._study, self._holder)

    def end(self, status: StudyStatus) -> None:
        """Say where the study stands and give it up; nothing happens where it is another's by now."""
        self._studies.end_lease(self._study, self._holder, status)
