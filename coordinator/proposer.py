"""Proposer: which arms to try; the one file that knows scikit-optimize and its flat space.

skopt has no conditional dimensions, no log integers that come back as ints, no constants and no
memory of what it asked; `_Encoding` maps arms to what it can do. A told value can't be corrected
in skopt, so a fresh optimizer hears the best current estimates whenever they have changed.
"""

import threading
import warnings
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

import numpy as np
from skopt import Optimizer
from skopt.acquisition import gaussian_ei
from skopt.learning import ExtraTreesRegressor
from skopt.space import Categorical, Real

from coordinator.features import Floats
from study import space as spaces
from study.config import Arm
from study.prices import Price
from study.space import Choice, Domain, Range, SearchSpace

AHEAD: Final = 6
"""Proposals kept ready: enough to choose from, few enough to be up to date."""
TREES: Final = 12
CANDIDATES: Final = 200
"""Points whose expected improvement skopt compares for one proposal."""
OF_A_FIT: Final = 12
"""Proposals of the same trees: their fit is what a proposal costs, and skopt's `ask(n)` fits for each."""
REPEATS_MAX: Final = 64
"""Points drawn at random, where skopt repeats itself, before the space is held to be exhausted."""
DESIGN_MIN: Final = 48
"""Points of the design, at least: they cost nothing, and the field chooses among many."""
LONG_SHARE: Final = 0.3
"""Of the range of max_tokens, the upper part that is tried."""
TOLD_MAX: Final = 500
"""Arms that skopt hears of: the best and the newest; its cost grows with them."""


class Proposer(Protocol):
    """Proposes arms, never the same twice."""

    @property
    def exhausted(self) -> bool:
        """Whether every arm of the space was proposed."""

    def propose(self) -> Arm | None:
        """The next arm; None if there is none at this moment."""

    def sample(self, count: int) -> list[Arm]:
        """Arms drawn from the space at random, of which any may be proposed or sampled again."""

    def tell(self, values: Mapping[Arm, float]) -> None:
        """The best current estimates, larger being better, of all arms tried."""

    def seen(self, arm: Arm) -> None:
        """An arm was proposed in an earlier life."""

    def close(self) -> None:
        """End what runs in the background."""


class SkoptProposer:
    """A design that covers models and templates, then skopt's extra trees.

    Args:
        space: what may be tried.
        prices: of the models; the design starts with the cheap ones.
        seed: of everything random.
    """

    def __init__(self, space: SearchSpace, *, prices: Mapping[str, Price], seed: int) -> None:
        self._encoding = _Encoding(space)
        self._random = np.random.default_rng(seed)
        self._sampling = np.random.default_rng([seed, 1])
        self._proposed: set[str] = set()
        self._values: dict[Arm, float] = {}
        self._asked: deque[list[Any]] = deque()
        self._design = deque(self._encoding.design(prices, self._random))
        self._exhausted = False

    @property
    def exhausted(self) -> bool:
        """Whether every arm of the space was proposed."""
        return self._exhausted or len(self._proposed) >= self._encoding.size

    def seen(self, arm: Arm) -> None:
        """An arm was proposed in an earlier life."""
        self._proposed.add(arm.key)

    def tell(self, values: Mapping[Arm, float]) -> None:
        """The best current estimates of all arms tried."""
        if values != self._values:
            self._values = dict(values)
            self._asked.clear()

    def propose(self) -> Arm | None:
        """The next arm: the design's, then skopt's, and a random one where skopt repeats itself."""
        while self._design:
            arm = self._encoding.arm(self._design.popleft())
            if arm.key not in self._proposed:
                return self._new(arm)
        if not self.exhausted:
            arm = self._encoding.arm(self._ask())
            for _ in range(REPEATS_MAX):
                if arm.key not in self._proposed:
                    return self._new(arm)
                arm = self._encoding.arm(self._encoding.random_point(self._random))
            for arm in self._encoding.every_arm():
                if arm.key not in self._proposed:
                    return self._new(arm)
            self._exhausted = True
        return None

    def sample(self, count: int) -> list[Arm]:
        """Arms drawn from the space at random."""
        points = [self._encoding.random_point(self._sampling) for _ in range(count)]
        return list({arm.key: arm for arm in map(self._encoding.arm, points)}.values())

    def close(self) -> None:
        """Nothing runs in the background."""

    def _new(self, arm: Arm) -> Arm:
        self._proposed.add(arm.key)
        return arm

    def _ask(self) -> list[Any]:
        if len(self._values) < 2 or not self._encoding.dimensions:
            return self._encoding.random_point(self._random)
        if not self._asked:
            self._asked.extend(self._fitted())
        return self._asked.popleft()

    def _fitted(self) -> list[list[Any]]:
        """What skopt asks for, and the best of other points by the same trees."""
        told = list(self._values.items())
        if len(told) > TOLD_MAX:
            newest, older = told[-TOLD_MAX // 2 :], told[: -TOLD_MAX // 2]
            told = sorted(older, key=lambda item: -item[1])[: TOLD_MAX - len(newest)] + newest
        optimizer = Optimizer(
            self._encoding.dimensions,
            base_estimator=ExtraTreesRegressor(
                n_estimators=TREES,
                min_samples_leaf=2,
                random_state=int(self._random.integers(2**31)),
            ),
            n_initial_points=0,
            acq_func="EI",
            acq_optimizer="sampling",
            acq_optimizer_kwargs={"n_points": CANDIDATES},
            model_queue_size=1,
            random_state=int(self._random.integers(2**31)),
        )
        points = [self._encoding.point(arm) for arm, _ in told]
        lowest = -max(value for _, value in told)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skopt warns of repeated points; they are handled
            optimizer.tell(points, [-value for _, value in told])
            asked: list[Any] = optimizer.ask()
            others = self._encoding.random_points((OF_A_FIT - 1) * CANDIDATES, self._random)
            gains = gaussian_ei(others, optimizer.models[-1], lowest)
        best = gains.reshape(-1, CANDIDATES).argmax(axis=1) + CANDIDATES * np.arange(OF_A_FIT - 1)
        return [asked, *others[best].tolist()]


class ProposerAhead:
    """Runs a proposer in a thread of its own, so that `propose` never waits for skopt.

    Args:
        proposer: the one that thinks; touched by the thread only, once it has started.
    """

    def __init__(self, proposer: SkoptProposer) -> None:
        self._proposer = proposer
        self._condition = threading.Condition()
        self._ready: deque[Arm] = deque()
        self._values: dict[Arm, float] = {}
        self._seen: list[Arm] = []
        self._ended = self._exhausted = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def exhausted(self) -> bool:
        """Whether every arm of the space was proposed and taken."""
        with self._condition:
            return self._exhausted and not self._ready

    def propose(self) -> Arm | None:
        """The next arm that is ready.

        Raises:
            RuntimeError: if the thread failed, from its error.
        """
        with self._condition:
            if self._error is not None:
                raise RuntimeError("the proposer failed") from self._error
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="proposer", daemon=True)
                self._thread.start()
            self._condition.notify_all()
            return self._ready.popleft() if self._ready else None

    def sample(self, count: int) -> list[Arm]:
        """Arms drawn from the space at random, by whoever asks."""
        return self._proposer.sample(count)

    def tell(self, values: Mapping[Arm, float]) -> None:
        """The best current estimates of all arms tried."""
        with self._condition:
            self._values = dict(values)

    def seen(self, arm: Arm) -> None:
        """An arm was proposed in an earlier life."""
        with self._condition:
            self._seen.append(arm)

    def close(self) -> None:
        """End the thread; a proposal under way is dropped."""
        with self._condition:
            self._ended = True
            self._condition.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                with self._condition:
                    while len(self._ready) >= AHEAD and not self._ended:
                        self._condition.wait()
                    if self._ended or self._exhausted:
                        return
                    for arm in self._seen:
                        self._proposer.seen(arm)
                    self._seen.clear()
                    self._proposer.tell(self._values)
                arm_or_none = self._proposer.propose()
                with self._condition:
                    if arm_or_none is not None:
                        self._ready.append(arm_or_none)
                    self._exhausted = self._proposer.exhausted
        except Exception as exc:  # noqa: BLE001 (it is raised again where the thread is used)
            with self._condition:
                self._error = exc


class _Encoding:
    """Arms as points of skopt's space: indices for choices, 0..1 for ranges, constants left out."""

    def __init__(self, space: SearchSpace) -> None:
        self._space = space
        self._heat = {
            name: domain
            for name, domain in (("temperature", space.temperature), ("top_p", space.top_p))
            if domain is not None
        }
        self._domains: dict[str, Domain] = {
            "model": Choice(values=space.models),
            "template": Choice(values=tuple(range(len(space.templates)))),
        }
        if len(self._heat) == 2:
            self._domains["which"] = Choice(values=tuple(self._heat))
        for name, domain in self._heat.items():
            self._domains[f"heat:{name}"] = domain
        for name, domain in space.params.items():
            self._domains[f"param:{name}"] = _long(domain) if name == "max_tokens" else domain
        self._open = {name: d for name, d in self._domains.items() if _open(d)}
        self.dimensions = [_dimension(domain) for domain in self._open.values()]

    @property
    def size(self) -> float:
        """How many arms there are."""
        common = [d for name, d in self._domains.items() if not name.startswith(("heat:", "which"))]
        heats = sum(spaces.sizes([domain]) for domain in self._heat.values()) or 1.0
        return heats * spaces.sizes(common)

    def arm(self, point: Sequence[Any]) -> Arm:
        """The arm at a point."""
        coordinates = dict(zip(self._open, point, strict=True))
        values: dict[str, Any] = {}
        for name, domain in self._domains.items():
            if name in coordinates:
                values[name] = _value(domain, coordinates[name])
            elif isinstance(domain, Choice):
                values[name] = domain.values[0]
        params: dict[str, Any] = {}
        if self._heat:
            which = values.get("which", next(iter(self._heat)))
            params[which] = values[f"heat:{which}"]
        for name in self._space.params:
            if values[f"param:{name}"] is not None:
                params[name] = values[f"param:{name}"]
        return Arm(model=values["model"], template=values["template"], params=params)

    def point(self, arm: Arm) -> list[Any]:
        """The point of an arm; a parameter that it doesn't set lies in the middle."""
        values: dict[str, Any] = {"model": arm.model, "template": arm.template}
        for name in self._heat:
            if name in arm.params:
                values["which"] = name
                values[f"heat:{name}"] = arm.params[name]
        for name in self._space.params:
            values[f"param:{name}"] = arm.params.get(name)
        return [
            _coordinate(domain, values[name]) if name in values else _middle(domain)
            for name, domain in self._open.items()
        ]

    def random_point(self, random: np.random.Generator) -> list[Any]:
        """A point, uniform in the space."""
        return [
            int(random.integers(len(domain.values)))
            if isinstance(domain, Choice)
            else float(random.random())
            for domain in self._open.values()
        ]

    def random_points(self, count: int, random: np.random.Generator) -> Floats:
        """[point, coordinate]: points, uniform in the space."""
        columns = [
            random.integers(len(domain.values), size=count).astype(float)
            if isinstance(domain, Choice)
            else random.random(count)
            for domain in self._open.values()
        ]
        return np.stack(columns, axis=1)

    def design(self, prices: Mapping[str, Price], random: np.random.Generator) -> list[list[Any]]:
        """The first points: each model with each template, cheap models first, over and over.

        The other coordinates are spread evenly, each in an order of its own (a Latin hypercube).
        """
        models = sorted(self._space.models, key=lambda m: prices[m].output_nanodollars_per_million)
        pairs = [(m, t) for t in range(len(self._space.templates)) for m in models]
        pairs *= -(-DESIGN_MIN // len(pairs))
        columns: dict[str, list[Any]] = {}
        for name, domain in self._open.items():
            even = (random.permutation(len(pairs)) + random.random(len(pairs))) / len(pairs)
            columns[name] = [
                int(u * len(domain.values)) if isinstance(domain, Choice) else float(u)
                for u in even
            ]
        if "model" in columns:
            columns["model"] = [self._space.models.index(m) for m, _ in pairs]
        if "template" in columns:
            columns["template"] = [t for _, t in pairs]
        return [[columns[name][i] for name in self._open] for i in range(len(pairs))]

    def every_arm(self) -> list[Arm]:
        """All arms of a small finite space; none where it is continuous."""
        if self.size > 100_000:
            return []
        points: list[list[Any]] = [[]]
        for domain in self._open.values():
            points = [[*p, c] for p in points for c in _coordinates(domain)]
        return list({arm.key: arm for arm in map(self.arm, points)}.values())


def _open(domain: Domain) -> bool:
    return isinstance(domain, Range) or len(domain.values) > 1


def _dimension(domain: Domain) -> Any:
    if isinstance(domain, Choice):
        return Categorical(
            list(range(len(domain.values))), transform="identity"
        )  # trees need no more
    return Real(0.0, 1.0)


def _coordinates(domain: Domain) -> list[Any]:
    if isinstance(domain, Choice):
        return list(range(len(domain.values)))
    return [_coordinate(domain, v) for v in range(int(domain.low), int(domain.high) + 1)]


def _coordinate(domain: Domain, value: Any) -> Any:
    if isinstance(domain, Choice):
        return domain.values.index(value)
    low, high = (_log(domain, x) for x in (domain.low, domain.high))
    return min(1.0, max(0.0, (_log(domain, value) - low) / (high - low)))


def _long(domain: Domain) -> Domain:
    """The upper part of a range of max_tokens: what less would give is seen from longer answers."""
    if isinstance(domain, Choice):
        return domain
    share = LONG_SHARE
    low = (
        domain.high * (domain.low / domain.high) ** share
        if domain.log
        else (domain.high - share * (domain.high - domain.low))
    )
    return replace(domain, low=round(low))


def _middle(domain: Domain) -> Any:
    return 0 if isinstance(domain, Choice) else 0.5


def _value(domain: Domain, coordinate: Any) -> Any:
    if isinstance(domain, Choice):
        return domain.values[int(coordinate)]
    low, high = (_log(domain, x) for x in (domain.low, domain.high))
    raw = low + float(coordinate) * (high - low)
    value = float(np.exp(raw)) if domain.log else float(raw)
    if domain.integer:
        return int(min(domain.high, max(domain.low, round(value))))
    return min(domain.high, max(domain.low, float(f"{value:.3g}")))


def _log(domain: Range, value: float) -> float:
    return float(np.log(value)) if domain.log else float(value)
