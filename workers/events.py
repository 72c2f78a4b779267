"""EventDispatcher: Celery's, except that it tells Flower of every event, from however many threads."""

from typing import Any, Final

from celery.events.dispatcher import EventDispatcher

from workers.failures import redacted

TOLD: Final = ("exception", "traceback", "result")
"""What an event says in words, for all who may look at Flower; a library's error may quote a key."""


class WholeEventDispatcher(EventDispatcher):  # type: ignore[misc]
    """Celery gathers events and sends them together.

    Its own `flush` sends the list and then empties it: what other threads of the pool added in
    between is lost (two in three events of short tasks, seen with 5.6.3), and Flower shows tasks as
    started for ever. This one removes what it sent, no more.
    """

    def send(self, type: str, *args: Any, **fields: Any) -> Any:  # noqa: A002 (Celery's name)
        """Tell of something, without any key."""
        for name in TOLD:
            if isinstance(fields.get(name), str):
                fields[name] = redacted(fields[name])
        return super().send(type, *args, **fields)

    def flush(self, errors: bool = True, groups: bool = True) -> None:
        """Send what was gathered; from one thread at a time."""
        super().flush(errors=errors, groups=False)
        if groups:
            with self.mutex:
                for group, events in list(self._group_buffer.items()):
                    sent: list[Any] = events[:]
                    if sent:
                        self._publish(sent, self.producer, f"{group}.multi")
                        del events[: len(sent)]
