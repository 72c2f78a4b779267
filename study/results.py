"""Results: recorded once by a worker, read once by the coordinator, in blocks, from a stream."""

import uuid
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog
from pydantic import TypeAdapter, ValidationError

from study import keys, scripts
from study.connection import Client
from study.messages import FINAL, RESULT_BYTES_MAX, Result

BLOCK_MS_MAX: Final = 5_000
"""The longest the coordinator waits in one read; it looks after leases in between."""
READ_COUNT_MAX: Final = 500

_RESULT: Final[TypeAdapter[Result]] = TypeAdapter(Result)

log = structlog.get_logger()


class Results:
    """The results of one study.

    Args:
        redis: a client with `decode_responses=True`.
        study: the study's id.
    """

    def __init__(self, redis: Client, study: str) -> None:
        self._redis, self._study = redis, study
        self._record = scripts.load(redis, "record")

    def record(self, result: Result) -> bool:
        """Append a result. A final one is appended once for its evaluation: first write wins.

        Returns:
            Whether it was appended.
        """
        final = isinstance(result, FINAL)
        name = result.evaluation if final else f"{result.evaluation}?{uuid.uuid4().hex}"
        recorded = [keys.results_recorded(self._study), keys.results(self._study)]
        return bool(self._record(recorded, [name, result.model_dump_json()]) == "recorded")

    def recorded(self, evaluation: str) -> bool:
        """Whether a final result of this evaluation is in the stream."""
        return bool(self._redis.sismember(keys.results_recorded(self._study), evaluation))

    def read(self, *, after: str = "0", block_ms: int | None = None) -> list[tuple[str, Result]]:
        """Results after a position, oldest first; what is none is passed over.

        Args:
            after: the position of the last result read; "0" reads from the start.
            block_ms: how long to wait for the first one; None doesn't wait.

        Returns:
            Pairs of a result's position and the result.
        """
        while True:
            found = self._redis.xread(
                {keys.results(self._study): after}, count=READ_COUNT_MAX, block=block_ms
            )
            entries = [entry for _, stream in found or [] for entry in stream]
            results = [(position, _checked(data, position)) for position, data in entries]
            ours = [(position, result) for position, result in results if result is not None]
            if ours or not entries:
                return ours
            after = entries[-1][0]


def _checked(data: Mapping[str, str], position: str) -> Result | None:
    """A result as it lay in the stream; None where it is none, or too large to be one."""
    text = data.get("result", "")
    if len(text) <= RESULT_BYTES_MAX:
        with suppress(ValidationError):
            return _RESULT.validate_json(text)
    log.warning("result_refused", position=position, characters=len(text))
    return None
