"""Drive: one coordinator's hold on one study: its lease, what is out, and what came back."""

import os
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

import structlog

from coordinator.bounds import Bounds
from coordinator.dispatch import Dispatcher
from coordinator.lease import Lease
from coordinator.plan import Plan
from coordinator.scorer import Scorer
from study import broker, connection, fleet
from study.connection import Client
from study.errors import (
    BursarError,
    CredentialsError,
    InfrastructureError,
    Interrupted,
    SettingsError,
    SpecError,
    StudyBusy,
)
from study.eval_func import EvalFunc
from study.ledger import Balance, Ledger, parent_account
from study.messages import ConfigFailed, EvaluateExample, Fatal, Result, Scored, Unaffordable
from study.results import Results
from study.studies import Studies, StudyRecord, StudyStatus
from study.trials import Estimate, Trial, TrialState

log = structlog.get_logger()

READ_BLOCK_MS: Final = 200
"""How long a read waits for a result while all slots are taken."""
EAGER_BLOCK_MS: Final = 10
"""The same while slots are free and a proposal is being made."""
TICK_S: Final = 1.0
"""How often the lease is renewed, missing evaluations are looked for and the user is told."""
DRAIN_MARGIN_S: Final = 15.0
"""Beside a call's timeout: how long running evaluations may take once the study is stopped."""
STOPPED_BY: Final = {
    "credentials": CredentialsError,
    "infrastructure": InfrastructureError,
    "settings": SettingsError,
}
"""What a Fatal result ends the study with."""
REFUSALS_MAX: Final = 3
"""How often the ledger may refuse an evaluation before the plan is told to go on without it."""
NEVER_WORKED_MAX: Final = 20
"""Failures before the first answer: an address or a key's project is wrong, and waiting won't help."""
GIVEN_UP_MAX: Final = 10
"""Evaluations given up with none scored in between, before the study stops."""
EVAL_FUNC_NEVER_WORKED_MAX: Final = 20
"""Scores that the user's function fails to give before it gave any: no more is bought for it."""
RATE_LIMITED_S_MAX: Final = 1800.0
"""How long a study goes on waiting for the fleet's rate limit without a single score."""
SILENCE_S_MAX: Final = 60.0
"""How long evaluations may be out while no worker lives."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What a user sees while a study runs."""

    trials: int
    trials_running: int
    in_flight: int
    completions_paid: int
    balance: Balance
    best: Estimate | None
    note: str = ""


@dataclass(kw_only=True)
class Tally:
    """What is counted; all of it comes back from the results when a study is resumed."""

    completions_paid: int = 0
    eval_func_errors: int = 0
    given_up: int = 0
    given_up_in_a_row: int = 0
    failures: int = 0


class Drive:
    """What `run_study` does, step by step. Make it with `Drive.open`."""

    def __init__(
        self,
        record: StudyRecord,
        plan: Plan,
        *,
        client: Client,
        dispatcher: Dispatcher,
        scorer: Scorer | None,
        bounds: Bounds,
        on_progress: Callable[[Progress], None],
        stop: threading.Event,
        clock: Callable[[], float],
    ) -> None:
        self.tally = Tally()
        self._record, self._plan, self._client = record, plan, client
        self._dispatcher, self._scorer = dispatcher, scorer
        self._on_progress, self._stop, self._clock = on_progress, stop, clock
        self._studies, self._ledger = Studies(client), Ledger(client)
        self._results = Results(client, record.id)
        self._examples = self._studies.examples(record.id)
        self._bounds = bounds
        holder = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self._lease = Lease(self._studies, record.id, holder, clock=clock)
        self._arms: dict[int, str] = {}
        self._position = "0"
        self._catching_up = False
        self._unscored: int | None = 0
        self._is_taken_up = False
        self._refusals: Counter[str] = Counter()
        self._unsaved: dict[int, Trial] = {}
        self._ticked_s = self._heard_s = self._scored_s = clock()
        self._note = ""

    @classmethod
    @contextmanager
    def open(
        cls,
        record: StudyRecord,
        plan: Plan,
        *,
        client: Client,
        broker_url: str,
        eval_func: EvalFunc | None,
        bounds: Bounds | None,
        on_progress: Callable[[Progress], None],
        stop: threading.Event,
        clock: Callable[[], float],
    ) -> Iterator[Self]:
        """Open connections, take the study's lease, and end both; the status says how it ended."""
        celery = broker.app(broker_url)
        broker_client = connection.connect(broker_url)
        scorer = None if eval_func is None else Scorer(eval_func, client=client, record=record)
        dispatcher = Dispatcher(
            celery, broker=broker_client, client=client, record=record, clock=clock
        )
        drive = cls(
            record,
            plan,
            client=client,
            dispatcher=dispatcher,
            scorer=scorer,
            bounds=bounds or Bounds.of(record, client),
            on_progress=on_progress,
            stop=stop,
            clock=clock,
        )
        try:
            with drive._leased(), connection.patient(client):
                yield drive
        finally:
            plan.close()
            if scorer is not None:
                scorer.close()
            celery.close()
            broker_client.close()

    def take_up(self) -> None:
        """Take over what an earlier coordinator of this study proposed, got, and sent in vain."""
        trials = self._studies.trials(self._record.id)
        self._plan.restore(trials)
        self._arms = {trial.number: trial.arm.key for trial in trials}
        while results := self._results.read(after=self._position):
            for position, result in results:
                self._position = position
                if isinstance(result, Scored | ConfigFailed):
                    self._absorb(result)
            self._dispatcher.flush()
        self._is_taken_up = True
        arms = {trial.number: trial.arm for trial in trials}
        self._dispatcher.send_again_all(
            lambda m: self._bounds.worst_case(arms[m.trial], m.example, m.draws)
        )
        self._catching_up = len(self._dispatcher) > 0

    @property
    def finished(self) -> bool:
        """Whether the plan has nothing more to do and nothing is out."""
        return self._idle and self._plan.finished is not None

    def ask_and_dispatch(self) -> None:
        """Send what the plan wants evaluated, as far as slots and money reach."""
        if self._catching_up:
            self._catching_up = not self._idle
            return
        works: list[tuple[EvaluateExample, int]] = []
        available = self._available() if self._dispatcher.free > 0 else 0
        while len(works) < self._dispatcher.free:
            work = self._plan.next(available=available)
            if work is None:
                break
            message = EvaluateExample(
                study=self._record.id,
                trial=work.trial,
                arm=work.arm.key,
                example=work.example,
                first_draw=work.first_draw,
                draws=work.draws,
            )
            worst_case = self._bounds.worst_case(work.arm, work.example, work.draws)
            works.append((message, worst_case))
            available -= worst_case
        if self._new_trials():  # before the messages: a worker reads the trial
            self._save_trials()
        self._dispatcher.send(works)

    def collect_and_tell(self) -> None:
        """Read what came back, in one block, and tell the plan."""
        eager = self._dispatcher.free > 0 or (self._scorer is not None and self._scorer.pending)
        block_ms = EAGER_BLOCK_MS if eager else READ_BLOCK_MS
        for position, result in self._results.read(after=self._position, block_ms=block_ms):
            self._position, self._heard_s = position, self._clock()
            self._absorb(result)
        self._dispatcher.flush()
        for scored in self._scorer.take() if self._scorer else []:
            self._tell(scored)

    def tick(self) -> None:
        """About once a second: keep the lease, send what is missing, obey a stop, show progress."""
        now = self._clock()
        if now - self._ticked_s < TICK_S:
            return
        self._ticked_s = now
        self._lease.renew()
        if self._stop.is_set() or (self._studies.status(self._record.id) is StudyStatus.STOPPING):
            self._drain()
        if missing := self._dispatcher.send_due():
            log.warning("evaluations_missing", study=self._record.id, count=missing)
        self._look_for_workers()
        self._save_trials()
        self._on_progress(self._progress())

    @contextmanager
    def _leased(self) -> Iterator[None]:
        self._lease.take(self._stop)
        self._studies.set_status(self._record.id, StudyStatus.RUNNING)
        status: StudyStatus | None = StudyStatus.FAILED
        try:
            yield
            self._close_the_books()
            status = StudyStatus.COMPLETE
        except StudyBusy:  # it is another's: whatever we would write now is wrong
            status = None
            raise
        except (Interrupted, KeyboardInterrupt):
            status = StudyStatus.INTERRUPTED
            raise
        finally:
            if status is not None:
                self._save_trials()
                self._lease.end(status)

    def _close_the_books(self) -> None:
        """Settle, in doubt, what a worker reserved and never came back to: nothing is out any more."""
        for reservation in self._ledger.open_reservations(self._record.account):
            self._ledger.settle_in_doubt(self._record.account, reservation)
            log.warning("left_open", study=self._record.id, reservation=reservation)

    @property
    def _idle(self) -> bool:
        return len(self._dispatcher) == 0 and not (self._scorer and self._scorer.pending)

    def _available(self) -> int:
        promised = self._dispatcher.promised
        accounts = [self._record.account, parent_account(self._record.account)]
        balances = self._ledger.balances([name for name in accounts if name])
        return min(_available(balance, promised) for balance in balances)

    def _absorb(self, result: Result) -> None:
        """Decide what a result means; the parent of all branches on its kind."""
        if self._arms.get(result.trial) != result.arm or result.example not in self._examples:
            log.warning("result_refused", study=self._record.id, unknown=result.evaluation)
            return
        if not isinstance(result, Unaffordable):
            self._refusals.pop(result.evaluation, None)
        if isinstance(result, Scored):
            self._dispatcher.done(result.evaluation)
            self.tally.completions_paid += result.draws
            self.tally.given_up_in_a_row = 0
            self._scored_s = self._clock()
            self._bounds.learn(result)
            if result.unscored and self._scorer is not None:
                self._scorer.submit(result)
            else:
                self._tell(result)
        elif isinstance(result, ConfigFailed):
            self._dispatcher.done(result.evaluation)
            self._plan.fail(result.trial, result.reason)
        elif isinstance(result, Fatal):
            raise STOPPED_BY[result.cause](
                f"{result.reason.rstrip('.')}. What was paid for is kept; once that is mended: "
                f"bursar resume {self._record.id}"
                + (" (a study file that you change is a new study)" * (result.cause == "settings"))
            )
        elif isinstance(result, Unaffordable):
            self._dispatcher.done(result.evaluation)
            self._refusals[result.evaluation] += 1
            if self._refusals[result.evaluation] >= REFUSALS_MAX:
                del self._refusals[result.evaluation]
                self._plan.lost(result)
            else:
                self._plan.unaffordable(result)
        elif not self._dispatcher.try_later(result):
            self._give_up(result, result.reason)
        else:
            self._note = result.reason
            self._doubt_the_start(result.reason)

    def _tell(self, scored: Scored) -> None:
        if scored.error:
            self.tally.eval_func_errors += 1
            self._studies.save_eval_func_error(self._record.id, scored.evaluation, scored.error)
            log.warning("eval_func_raised", study=self._record.id, example=scored.example)
        self._plan.record(scored)
        self._doubt_the_metric(scored.error)

    def _doubt_the_metric(self, error: str) -> None:
        """Buy no more for a function that never gave a score; a resume may find it mended."""
        if self._unscored is None or not error:
            self._unscored = None
            return
        self._unscored += self._is_taken_up
        if self._unscored >= EVAL_FUNC_NEVER_WORKED_MAX:
            raise SpecError(
                field="metric.evaluator",
                value=self._record.spec.metric.evaluator,
                problem=f"gave none of the first {self._unscored} scores; the last one: "
                + error.strip().rpartition("\n")[2],
                remedy=f"mend it, then: bursar resume {self._record.id}",
            )

    def _doubt_the_start(self, reason: str) -> None:
        """Stop early where nothing ever worked; a provider that asks to wait is waited for."""
        if reason.startswith("rate limited"):
            if self._clock() - self._scored_s > RATE_LIMITED_S_MAX:
                raise InfrastructureError(
                    f"no score for {RATE_LIMITED_S_MAX / 60:.0f} minutes, for want of a turn under the rate "
                    f"limit; the last word: {reason}. It is the provider's, or that of [limits] in the study "
                    "file, and all studies on this Redis that ask the model share it. Once it lets calls "
                    f"pass: bursar resume {self._record.id}"
                )
            return
        self.tally.failures += 1
        if self.tally.completions_paid:
            return
        if self.tally.failures >= NEVER_WORKED_MAX:
            raise InfrastructureError(
                f"{self.tally.failures} evaluations failed and none has worked yet; the last one: "
                f"{reason}. Once that is mended: bursar resume {self._record.id}"
            )

    def _give_up(self, result: Result, reason: str) -> None:
        self._plan.lost(result)
        self.tally.given_up += 1
        self.tally.given_up_in_a_row += 1
        if self.tally.given_up_in_a_row >= GIVEN_UP_MAX:
            raise InfrastructureError(
                f"{GIVEN_UP_MAX} evaluations in a row could not be made; the last one: {reason}. "
                f"`bursar doctor` looks for the cause; then: bursar resume {self._record.id}"
            )

    def _look_for_workers(self) -> None:
        silence_s = self._clock() - self._heard_s
        if not len(self._dispatcher):
            self._heard_s = self._clock()
        elif silence_s > SILENCE_S_MAX / 4:
            if fleet.workers(self._client):
                self._heard_s = self._clock()
                return
            self._note = "no worker is there; waiting for one"
            if silence_s > SILENCE_S_MAX:
                raise InfrastructureError(
                    f"no worker has been there for {silence_s:.0f} s. Start some "
                    f"(`python -m workers`), then: bursar resume {self._record.id}"
                )

    def _drain(self) -> None:
        """Let running evaluations finish within a bounded time, then stop."""
        self._studies.set_status(self._record.id, StudyStatus.STOPPING)  # no worker begins a call
        self._dispatcher.cancel_waiting()
        deadline_s = self._clock() + self._record.spec.endpoint.timeout_s + DRAIN_MARGIN_S
        self._note = "stopping: running evaluations may finish"
        while not self._idle and self._clock() < deadline_s:
            self._on_progress(self._progress())
            self._lease.renew()
            try:
                self.collect_and_tell()
            except BursarError as exc:  # it is stopping anyway: say why it would have stopped
                log.warning("failed_while_stopping", study=self._record.id, reason=str(exc))
                break
            self._dispatcher.cancel_waiting()
        raise Interrupted(
            f"stopped; what was paid for is kept. Go on with: bursar resume {self._record.id}"
        )

    def _new_trials(self) -> bool:
        """Whether there are trials that were never saved."""
        self._unsaved.update({trial.number: trial for trial in self._plan.changed()})
        new = [trial for trial in self._unsaved.values() if trial.number not in self._arms]
        self._arms.update({trial.number: trial.arm.key for trial in new})
        return bool(new)

    def _save_trials(self) -> None:
        """Write down how trials stand: new ones at once, others about once a second."""
        self._new_trials()
        self._studies.save_trials(self._record.id, self._unsaved.values())
        self._unsaved.clear()

    def _progress(self) -> Progress:
        trials = self._plan.trials
        note, self._note = self._note, ""
        return Progress(
            trials=len(trials),
            trials_running=sum(trial.state is TrialState.RUNNING for trial in trials),
            in_flight=min(len(self._dispatcher), self._record.spec.limits.concurrency),
            completions_paid=self.tally.completions_paid,
            balance=self._ledger.balance(self._record.account),
            best=self._plan.recommend(),
            note=note,
        )


def _available(balance: Balance, promised: int) -> int:
    """What can be promised beside what is out: some of that is reserved by now, some not yet."""
    return balance.available + balance.reserved - max(balance.reserved, promised)
