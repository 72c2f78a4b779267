"""evaluate_example: one evaluation from its message to its recorded result; it reads as the data flows.

result recorded? return | completions paid already? reuse | rate limit -> reserve -> call -> store ->
settle | score | record. Each check is a recovery point: a message that comes again resumes at the first
step not done, and doing all of it twice is free.
"""

import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

from sandbox import Limits, ProcessSandbox, SandboxError, UnusableSetting
from study import cuts, money, templates
from study.assignments import Assignment
from study.config import Arm
from study.errors import UnknownStudy
from study.messages import (
    ConfigFailed,
    EvaluateExample,
    Fatal,
    Paid,
    Result,
    Scored,
    Unaffordable,
    Unevaluated,
)
from study.paid_calls import PaidCall, PaidCalls
from study.prompt_tokens import PromptTokens
from study.rate_limit import RateLimit
from study.results import Results
from study.studies import Purpose, StudyRecord, StudyStatus
from workers import evaluators
from workers.box import Box
from workers.buying import BUYING_S_MAX, BudgetExceeded, BusyElsewhere, Buyer, NotNow, Order
from workers.failures import REASON_CHARACTERS_MAX, Forbidden, Overlong, Refused, redacted
from workers.judge import UnusableEvaluator
from workers.judges import JudgingFailed
from workers.llm import Endpoint
from workers.site import Site

PROGRAM_MARGIN_S: Final = 1.0
"""What a program may cost beside its own time limit."""

log = structlog.get_logger()


class UnknownWork(Exception):
    """The message names a study, a trial, an arm or an example that is not in this Redis."""


class NotAskedFor(UnknownWork):
    """No coordinator asks for this evaluation: the message is forged, or late."""


class NoSandboxHere(Exception):
    """Nothing can be scored on this worker."""


def evaluate_example(message: EvaluateExample, site: Site) -> str:
    """Evaluate one arm on one example, and record the result: once, however often it is asked for.

    Args:
        message: which draws of which arm and example.
        site: the worker's collaborators.

    Returns:
        What came of it, in a few words for people.

    Raises:
        UnknownWork: the message is forged or late; nothing was done.
        Exception: whatever nobody foresaw; it is recorded as Unevaluated before.
    """
    work = _Work.of(message, site)
    if work.assignment.is_recorded:
        return "already recorded"
    if not work.assignment.is_asked_for:
        raise NotAskedFor(message.evaluation)
    try:
        result = _evaluated(work)
    except BusyElsewhere:
        return "busy elsewhere"
    except Exception as exc:
        work.record_unforeseen(exc)
        raise
    work.results.record(result)
    return in_words(result)


def in_words(result: Result) -> str:
    """A result in a few words, for people."""
    match result:
        case Scored(passes=list() as passes):
            cost = money.show(result.paid.cost_nanodollars)
            return f"{sum(passes)}/{len(passes)} pass, {cost}"
        case Scored():
            cost = money.show(result.paid.cost_nanodollars)
            how = (
                "eval_func raised" if result.error else "unscored" if result.unscored else "scored"
            )
            return f"{result.draws} answers {how}, {cost}"
        case ConfigFailed() | Unevaluated() | Fatal():
            return f"{result.kind.replace('_', ' ')}: {result.reason[:80]}"
        case Unaffordable():
            return "unaffordable"


@dataclass(frozen=True, kw_only=True)
class _Work:
    """A message with what it refers to."""

    message: EvaluateExample
    site: Site
    assignment: Assignment

    @classmethod
    def of(cls, message: EvaluateExample, site: Site) -> "_Work":
        """Read what a message refers to."""
        try:
            assignment = site.assignments.read(message)
        except UnknownStudy as exc:
            raise UnknownWork(exc.study) from exc
        return cls(message=message, site=site, assignment=assignment)

    @property
    def record(self) -> StudyRecord:
        return self.assignment.record

    @property
    def arm(self) -> Arm:
        return self.assignment.arm

    @property
    def example(self) -> dict[str, Any]:
        return self.assignment.example

    @cached_property
    def results(self) -> Results:
        return Results(self.site.redis, self.message.study)

    @cached_property
    def paid_calls(self) -> PaidCalls:
        return PaidCalls(self.site.redis, self.message.study)

    @cached_property
    def whose(self) -> dict[str, Any]:
        """What every result says."""
        return self.message.model_dump(exclude={"study"})

    @property
    def runs_programs(self) -> bool:
        evaluator = self.record.spec.metric.evaluator
        return not self.record.scored_by_coordinator and evaluators.runs_programs(evaluator)

    @cached_property
    def cuts(self) -> Sequence[Arm]:
        """What else the answers speak for; a test of one configuration asks for nothing else."""
        if self.record.purpose is not Purpose.TUNE:
            return ()
        return cuts.of(self.record.spec.search_space, self.arm)

    def buyer(self, endpoint: Endpoint, box: Box | None) -> Buyer:
        """Who buys the draws."""
        spec, arm = self.record.spec, self.arm
        template = spec.search_space.templates[arm.template]
        order = Order(
            study=self.record.id,
            account=self.record.account,
            call=self.message.call,
            rendered=templates.render(template, self.example),
            model=arm.model,
            params=arm.params,
            price=self.record.prices[arm.model],
            prompt=self.assignment.prompt,
            prompt_tokens=self.assignment.prompt_tokens,
            paid=self.assignment.paid,
        )
        rate_limit = RateLimit(
            self.site.redis,
            endpoint=endpoint.name,
            model=arm.model,
            requests_per_minute=spec.limits.requests_per_minute,
            tokens_per_minute=spec.limits.tokens_per_minute,
        )
        return Buyer(
            order,
            site=self.site,
            endpoint=endpoint,
            paid_calls=self.paid_calls,
            prompt_tokens=PromptTokens(self.site.redis, self.record.id),
            rate_limit=rate_limit,
            before_call=box.prepare if box else _nothing,
        )

    def box(self, endpoint: Endpoint) -> Box:
        """Where the answers run as programs."""
        try:
            sandbox = self.site.sandbox(self.record)
        except UnusableSetting:
            raise
        except SandboxError as exc:
            raise NoSandboxHere(str(exc)) from exc
        spec = self.record.spec.sandbox
        programs = self.message.draws * (1 + len(self.cuts))
        scoring_s = programs * (spec.timeout_s + PROGRAM_MARGIN_S)
        return Box(
            sandbox,
            study=self.record.id,
            limits=Limits(timeout_s=spec.timeout_s, memory_mb=spec.memory_mb),
            deadline_s=BUYING_S_MAX + endpoint.call_s_max + scoring_s,
            sleep=self.site.sleep,
        )

    def record_unforeseen(self, exc: Exception) -> None:
        """Say that there is no result, where that can be said at all."""
        reason = redacted(f"{type(exc).__name__}: {exc}")[:REASON_CHARACTERS_MAX]
        log.error(
            "evaluation_broke",
            study=self.record.id,
            trial=self.message.trial,
            evaluation=self.message.evaluation,
            reason=reason,
        )
        try:
            self.results.record(Unevaluated(**self.whose, reason=reason))
        except (
            RedisError
        ) as error:  # often the cause itself; the coordinator's lease sends it again
            log.error("result_not_recorded", study=self.record.id, reason=type(error).__name__)


def _evaluated(work: _Work) -> Result:
    """Buy and score; every failure that has a name becomes the result of that name."""
    if work.assignment.status is not StudyStatus.RUNNING:
        return Unevaluated(**work.whose, reason="the study is not running")
    try:
        return _bought_and_scored(work)
    except (Refused, Overlong) as exc:
        return ConfigFailed(**work.whose, reason=exc.reason)
    except Forbidden as exc:
        return Fatal(**work.whose, reason=exc.reason)
    except UnusableSetting as exc:
        return Fatal(**work.whose, cause="settings", reason=str(exc)[:REASON_CHARACTERS_MAX])
    except (UnusableEvaluator, NoSandboxHere) as exc:
        reason = str(exc)[:REASON_CHARACTERS_MAX]
        return Fatal(**work.whose, cause="infrastructure", reason=reason)
    except BudgetExceeded as exc:
        return Unaffordable(**work.whose, worst_case_nanodollars=exc.worst_case_nanodollars)
    except NotNow as exc:
        return Unevaluated(**work.whose, reason=exc.reason, retry_after_s=exc.retry_after_s)
    except SandboxError as exc:
        return Unevaluated(**work.whose, reason=str(exc)[:REASON_CHARACTERS_MAX])


def _bought_and_scored(work: _Work) -> Scored:
    endpoint = work.site.endpoint(work.record)
    with ExitStack() as stack:
        if work.record.scored_by_coordinator:
            return _unscored(work, work.buyer(endpoint, None).buy())
        if work.runs_programs:
            box = stack.enter_context(work.box(endpoint))
            return _scored_by_programs(work, work.buyer(endpoint, box).buy(), box)
        # Before the first cent: an evaluator that is not here would make it worthless.
        work.site.judges.check(work.record.spec.metric.evaluator)
        return _scored_by_user(work, work.buyer(endpoint, None).buy())


def _unscored(work: _Work, calls: Sequence[PaidCall]) -> Scored:
    return Scored(**work.whose, unscored=True, paid=_paid(calls))


def _scored_by_programs(work: _Work, calls: Sequence[PaidCall], box: Box) -> Scored:
    if isinstance(work.site.sandbox(work.record), ProcessSandbox):
        for call in calls:
            if not evaluators.is_sealed(call, work.site.seal_key):
                raise NoSandboxHere(
                    "no container engine can be reached, and these answers are not a rehearsal's "
                    "own programs: only in containers may they run. Start an engine, or let "
                    "DOCKER_HOST name one"
                )
    judged = evaluators.judged(
        calls,
        work.example,
        api=work.record.spec.endpoint.api,
        model=work.arm.model,
        cut_as=work.cuts,
        run=box.run,
        seal_key=work.site.seal_key,
    )
    return Scored(**work.whose, passes=judged.passes, cuts=judged.cuts, paid=_paid(calls))


def _scored_by_user(work: _Work, calls: Sequence[PaidCall]) -> Scored:
    metric, message = work.record.spec.metric, work.message
    texts = work.paid_calls.texts(message.arm, message.example)
    try:
        found = work.site.judges.resample(
            metric.evaluator,
            metric.name,
            list(texts.values()),
            work.example,
            mode=metric.mode,
            seed=zlib.crc32(message.evaluation.encode()),
            timeout_s=metric.timeout_s,
        )
    except JudgingFailed as exc:
        return Scored(**work.whose, curve={}, error=evaluators.told(str(exc)), paid=_paid(calls))
    told = found.told(texts, first_draw=message.first_draw, draws=message.draws)
    return Scored(**work.whose, **told, paid=_paid(calls))


def _paid(calls: Sequence[PaidCall]) -> Paid:
    return Paid(
        calls=len(calls),
        prompt_tokens=sum(call.usage.prompt_tokens for call in calls),
        completion_tokens=sum(call.usage.completion_tokens for call in calls),
        cost_nanodollars=sum(call.cost_nanodollars for call in calls),
        latency_s=sum(call.latency_s for call in calls),
    )


def _nothing() -> None:
    """What is begun before a call where nothing needs to be."""
