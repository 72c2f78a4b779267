"""Buyer: buys draws, each call paid for once; the order of its steps is what survives a crash.

paid already? | rate limit -> begin -> heal -> reserve -> call -> store -> settle
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from redis.exceptions import RedisError

from study import fleet, prompt_tokens, worst_case
from study.errors import InfrastructureError
from study.ledger import Verdict
from study.paid_calls import STORED, Begun, Busy, CallId, Completion, PaidCall, PaidCalls
from study.prices import Price, Usage
from study.prompt_tokens import PromptTokens
from study.rate_limit import Later, Load, RateLimit, Turn, share_of
from study.templates import Rendered
from workers.failures import (
    CallFailed,
    Filtered,
    Forbidden,
    InDoubt,
    NotBilled,
    Overlong,
    RateLimited,
    Refused,
    Unavailable,
)
from workers.llm import Answer, Endpoint
from workers.site import Site

ATTEMPTS_MAX: Final = 4
"""Of one call, before the coordinator is asked to send it again later."""
IN_DOUBT_ATTEMPTS_MAX: Final = 2
"""Of one call that end in doubt: each is paid in full."""
RATE_WAIT_S_MAX: Final = 20.0
"""How long a thread waits for the fleet's rate limit; then it serves another evaluation."""
LATE_S_MAX: Final = 0.9
"""How long after its turn a call may still be made: less than the slack of the rate limit's minute."""
IGNORANT_S: Final = 0.5
"""How often a thread looks whether the provider's limits are known by now."""
BACK_OFF_S: Final = 0.5
"""Doubled at each attempt, jittered from half to all of it."""
BACK_OFF_S_MAX: Final = 10.0
BUYING_S_MAX: Final = 900.0
"""No further call of an evaluation begins after that: what is bought is kept, the rest comes later."""
CLAIM_MARGIN_S: Final = 10.0
"""A claim outlives its call by this, for what is done in Redis before and after."""
KEEP_S_MAX: Final = 300.0
"""How long an answer that was paid for waits for a Redis that can't be reached."""
KEEP_PAUSE_S: Final = 1.0

log = structlog.get_logger()


class BusyElsewhere(Exception):
    """Another worker is making this call."""


class BudgetExceeded(Exception):
    """The ledger refused the reservation; `worst_case_nanodollars` is what it was asked for."""

    def __init__(self, worst_case_nanodollars: int) -> None:
        super().__init__(worst_case_nanodollars)
        self.worst_case_nanodollars = worst_case_nanodollars


class NotNow(Exception):
    """Infrastructure failed, within its bounded retries; `reason` says how.

    `retry_after_s` says that only the fleet's rate limit stands in the way, and for how long.
    """

    def __init__(self, reason: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is bought: the draws of `call`, as answers to `rendered`.

    Args:
        study: the study's id.
        account: who pays.
        call: which draws.
        rendered: the prompt.
        model: asked for under this name, and priced as such, whatever snapshot answers.
        params: the arm's.
        price: the model's.
        prompt: the prompt's name.
        prompt_tokens: what this prompt was billed for; None where it was not yet.
        paid: the answer to `call`, if it was paid for before.
    """

    study: str
    account: str
    call: CallId
    rendered: Rendered = field(repr=False)
    model: str
    params: Mapping[str, Any]
    price: Price
    prompt: str
    prompt_tokens: int | None
    paid: PaidCall | None = field(repr=False)

    def worst_case(self, n: int) -> Usage:
        """The most tokens that a call for n answers can be billed for."""
        return prompt_tokens.bounded(self._most(n), self.prompt_tokens)

    def load(self, n: int) -> Load:
        """What a provider's rate limit counts a call for: no bound is needed where the prompt is known."""
        most, known = self._most(n), self.prompt_tokens
        return Load(
            answers_tokens=most.completion_tokens,
            prompt_tokens=most.prompt_tokens if known is None else known,
            is_counted=known is not None,
        )

    def _most(self, n: int) -> Usage:
        return worst_case.usage(self.rendered, model=self.model, params=self.params, n=n)


class Buyer:
    """Buys one order.

    Args:
        order: what to buy.
        site: the worker's collaborators.
        endpoint: who answers.
        paid_calls: of the order's study.
        prompt_tokens: of the order's study.
        rate_limit: of the order's model.
        before_call: begins what takes time and can go on during the call; must not raise.
    """

    def __init__(
        self,
        order: Order,
        *,
        site: Site,
        endpoint: Endpoint,
        paid_calls: PaidCalls,
        prompt_tokens: PromptTokens,
        rate_limit: RateLimit,
        before_call: Callable[[], None],
    ) -> None:
        self._before_call = before_call
        self._order, self._site, self._endpoint = order, site, endpoint
        self._paid_calls, self._rate_limit = paid_calls, rate_limit
        self._prompt_tokens = prompt_tokens
        self._ledger, self._holder = site.ledger, site.holder()
        self._ends_s = site.clock() + BUYING_S_MAX
        self._log = log.bind(study=order.study, call=str(order.call), model=order.model)

    def buy(self) -> list[PaidCall]:
        """Buy all draws: one call, or several where a server gives fewer answers than asked for.

        Returns:
            The paid calls that hold the draws, in order.

        Raises:
            Refused, Overlong, Forbidden: as the endpoint.
            BudgetExceeded: the ledger can't bear the worst case now.
            BusyElsewhere: another worker is at it.
            NotNow: tried as often as makes sense.
        """
        bought: list[PaidCall] = []
        rest: CallId | None = self._order.call
        while rest is not None:
            paid = self._buy_call(rest)
            bought.append(paid)
            rest = _rest(rest, len(paid.completions))
        return bought

    def _buy_call(self, call: CallId) -> PaidCall:
        in_doubt = 0
        for attempt in range(1, ATTEMPTS_MAX + 1):
            is_first = attempt == 1 and call == self._order.call  # then it is known
            paid = self._order.paid if is_first else self._paid_calls.find(call)
            if paid is not None:
                return self._settled(paid)
            if self._site.clock() > self._ends_s:
                raise NotNow("this took too long for one evaluation: the rest is bought later")
            turn = self._await_turn(call)
            try:
                return self._attempt(call, turn)
            except (Refused, Overlong, Forbidden):
                raise
            except CallFailed as exc:
                failure = exc
            in_doubt += isinstance(failure, InDoubt)
            self._log.warning(
                "call_failed", kind=type(failure).__name__, attempt=attempt, reason=failure.reason
            )
            if in_doubt == IN_DOUBT_ATTEMPTS_MAX:
                break
            self._back_off(failure, attempt)
        raise _not_now(failure)

    def _attempt(self, call: CallId, turn: Turn) -> PaidCall:
        """One attempt on the wire, with a reservation of its own."""
        claim_s = self._endpoint.call_s_max + CLAIM_MARGIN_S
        begun = self._begin(call, int(claim_s * 1000))
        if isinstance(begun, PaidCall):
            return self._settled(begun)
        if isinstance(begun, Busy):
            raise BusyElsewhere
        begun_s = self._site.clock()
        self._heal(call, begun.number)
        reservation = f"{self._order.study}:{call.attempt(begun.number)}"
        self._reserve(call, reservation)
        try:
            # Whoever takes us for dead looks for so long: past that, the call may be another's.
            if self._site.clock() - begun_s > min(fleet.LOOKS_APART_S, CLAIM_MARGIN_S):
                raise Unavailable("this worker was held up for too long before its call")
            self._before_call()
            answer = self._endpoint.call(
                self._order.rendered,
                model=self._order.model,
                params=self._order.params,
                n=call.draws,
            )
        except Filtered as exc:
            self._log.warning("prompt_filtered", reservation=reservation, reason=exc.reason)
            answer = _without_text(call.draws)
        except NotBilled as exc:
            self._ledger.release(self._order.account, reservation)
            self._paid_calls.abandon(call, holder=self._holder)
            if isinstance(exc, RateLimited):
                self._rate_limit.learn(exc.announced, known=turn.learned)
            raise
        except BaseException:  # in doubt, and whatever else: nobody knows that it was not billed
            self._ledger.settle_in_doubt(self._order.account, reservation)
            self._paid_calls.abandon(call, holder=self._holder)
            raise
        paid = self._kept(call, self._priced(call, reservation, answer), billed=answer.usage)
        # After what money depends on.
        counted = None if answer.usage is None else answer.usage.prompt_tokens
        load = self._order.load(call.draws)
        share = share_of(load, counted, turn=turn, announced=answer.announced)
        self._rate_limit.learn(answer.announced, known=turn.learned, share=share)
        return paid

    def _begin(self, call: CallId, claim_ms: int) -> Begun | Busy | PaidCall:
        """Claim a call; a dead worker's claim is taken over."""
        begun = self._paid_calls.begin(call, holder=self._holder, claim_ms=claim_ms)
        if isinstance(begun, Busy) and self._site.has_died(begun.holder):
            self._log.warning("claim_taken_over", holder=begun.holder)
            begun = self._paid_calls.begin(
                call, holder=self._holder, claim_ms=claim_ms, instead_of=begun.holder
            )
        return begun

    def _reserve(self, call: CallId, reservation: str) -> None:
        worst = self._order.price.cost(self._order.worst_case(call.draws))
        verdict = self._ledger.reserve(self._order.account, reservation, worst)
        if verdict in (Verdict.CREATED, Verdict.EXISTS):
            return
        self._paid_calls.abandon(call, holder=self._holder)
        if verdict in (Verdict.ALREADY_SETTLED, Verdict.ALREADY_RELEASED):
            raise BusyElsewhere  # a successor took us for dead, and locked us out
        if verdict in (Verdict.EXCEEDS_BUDGET, Verdict.EXCEEDS_PARENT_BUDGET):
            raise BudgetExceeded(worst)
        raise InfrastructureError(
            f"the ledger answers {verdict} to reservation {reservation}: its account or an entry in this "
            "Redis is gone or was changed. Bring Redis back from its own files, then resume"
        )

    def _heal(self, call: CallId, number: int) -> None:
        """Settle, in doubt, what predecessors left behind; each of them had healed those before it."""
        for predecessor in range(number - 1, 0, -1):
            reservation = f"{self._order.study}:{call.attempt(predecessor)}"
            verdict = self._settled_or_locked_out(reservation)
            if verdict in (Verdict.SETTLED, Verdict.OVERRUN):
                self._log.warning("predecessor_settled_in_doubt", reservation=reservation)
            if verdict is not Verdict.NOT_FOUND:
                return

    def _settled_or_locked_out(self, reservation: str) -> Verdict:
        """Settle what a predecessor reserved; what it has not reserved, it can't reserve any more.

        It may only be slow, and its claim may be gone since the clock of Redis jumped: it must not
        make the call that is ours now.
        """
        account = self._order.account
        verdict = self._ledger.settle_in_doubt(account, reservation)
        if verdict is Verdict.NOT_FOUND:
            locked = self._ledger.reserve(account, reservation, 0)
            if locked is Verdict.CREATED:
                self._ledger.release(account, reservation)
            elif locked is Verdict.AMOUNT_DIFFERS:  # it was faster by a hair
                verdict = self._ledger.settle_in_doubt(account, reservation)
        return verdict

    def _priced(self, call: CallId, reservation: str, answer: Answer) -> PaidCall:
        usage = answer.usage
        if usage is None:
            self._log.warning("usage_missing", reservation=reservation, billed="the worst case")
            usage = self._order.worst_case(call.draws)
        return PaidCall(
            reservation=reservation,
            completions=answer.completions[: call.draws],
            usage=usage,
            cost_nanodollars=self._order.price.cost(usage),
            model=answer.model,
            fingerprint=answer.fingerprint,
            latency_s=answer.latency_s,
        )

    def _kept(self, call: CallId, paid: PaidCall, *, billed: Usage | None) -> PaidCall:
        """Store, then settle: a crash in between loses nothing; nor does a Redis that is away."""
        until_s = self._site.clock() + KEEP_S_MAX
        while True:
            try:
                with self._site.redis.pipeline(
                    transaction=False
                ) as pipe:  # Redis keeps their order
                    self._paid_calls.queue_store(pipe, call, paid, holder=self._holder)
                    self._ledger.queue_settle(
                        pipe, self._order.account, paid.reservation, paid.cost_nanodollars
                    )
                    if billed is not None and billed.prompt_tokens != self._order.prompt_tokens:
                        prompt = self._order.prompt
                        self._prompt_tokens.learn(prompt, billed.prompt_tokens, pipe=pipe)
                    stored, verdict, *_ = pipe.execute()
                self._look_at(paid, Verdict(verdict))
                # Where another one was faster, its answer stands.
                return paid if stored == STORED else self._paid_calls.find(call) or paid
            except RedisError as exc:
                self._log.warning("answer_not_kept_yet", reason=type(exc).__name__)
                if self._site.clock() > until_s:
                    raise
                self._site.sleep(KEEP_PAUSE_S)

    def _settled(self, paid: PaidCall) -> PaidCall:
        """Settle a paid call; again, where a predecessor may not have come to it."""
        verdict = self._ledger.settle(self._order.account, paid.reservation, paid.cost_nanodollars)
        self._look_at(paid, verdict)
        return paid

    def _look_at(self, paid: PaidCall, verdict: Verdict) -> None:
        """Say it aloud where a bill is above its reservation."""
        if verdict is Verdict.OVERRUN:
            self._log.error(
                "bill_above_reservation",
                reservation=paid.reservation,
                cost_nanodollars=paid.cost_nanodollars,
            )

    def _await_turn(self, call: CallId) -> Turn:
        """Wait, within bounds, until the fleet's rate limit lets this call go."""
        load = self._order.load(call.draws)
        until_s = min(self._site.clock() + RATE_WAIT_S_MAX, self._ends_s)
        is_second = False
        while True:
            turn = self._rate_limit.book(load, wait_s_max=until_s - self._site.clock())
            if isinstance(turn, Later):
                # Spread: those told the same, since their turn is too far off to be foreseen.
                again_s = turn.wait_s * self._site.jitter.uniform(0.7, 1)
                raise NotNow(
                    f"rate limited: its turn comes in {turn.wait_s:.1f} s", retry_after_s=again_s
                )
            if turn.wait_s == 0:
                return turn
            due_s = self._site.clock() + turn.wait_s
            self._sleep_until(turn)
            if not self._rate_limit.stands(turn):
                continue
            # A stall's turns are lost, or all would call at once when it ends; only once, so that
            # a machine that is always late still gets on.
            if is_second or self._site.clock() - due_s <= LATE_S_MAX:
                return turn
            is_second = True

    def _sleep_until(self, turn: Turn) -> None:
        """Wait for a turn; one that a first answer makes void only for as long as there was none."""
        if not turn.provisional:
            self._site.sleep(turn.wait_s)
            return
        left_s = turn.wait_s
        while left_s > 0 and self._rate_limit.stands(turn):
            self._site.sleep(min(left_s, IGNORANT_S))
            left_s -= IGNORANT_S

    def _back_off(self, failure: CallFailed, attempt: int) -> None:
        asked_s = getattr(failure, "retry_after_s", None)
        if isinstance(failure, RateLimited):
            paused_s = self._rate_limit.pause(asked_s)
            if attempt == ATTEMPTS_MAX:
                raise NotNow(f"rate limited: {failure.reason}", retry_after_s=paused_s)
            return  # the next turn lies behind the pause
        wait_s = min(BACK_OFF_S * 2**attempt, BACK_OFF_S_MAX) * self._site.jitter.uniform(0.5, 1)
        wait_s = max(wait_s, asked_s or 0.0)
        if attempt == ATTEMPTS_MAX or wait_s > RATE_WAIT_S_MAX:
            raise _not_now(failure)
        self._site.sleep(wait_s)


def _without_text(draws: int) -> Answer:
    """What a content filter leaves of an answer; `usage` is unknown, so the worst case is billed."""
    nothing = Completion(text="", finish_reason="content_filter")
    return Answer(
        completions=(nothing,) * draws, usage=None, model="", fingerprint="", latency_s=0.0
    )


def _not_now(failure: CallFailed) -> NotNow:
    word = "in doubt" if isinstance(failure, InDoubt) else "unavailable"
    return NotNow(f"{word}: {failure.reason}")


def _rest(call: CallId, got: int) -> CallId | None:
    """The draws that a call did not bring."""
    if got >= call.draws:
        return None
    return CallId(
        arm=call.arm,
        example=call.example,
        first_draw=call.first_draw + got,
        draws=call.draws - got,
    )
