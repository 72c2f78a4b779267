"""Worlds drawn at random, whose truth is known: what the search and its peers are measured on.

A world answers in process (`Sampler`, fast) and over HTTP (`World.server()`) by the same law, and says what
is true of a config over all of its problems: `value`, `cost`, `best_feasible`.
Reported worlds have seeds 0 to 19; those to develop against have seeds from 100 on.
"""

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from bench.search import functions, menus
from rehearsal import ModelTraits, Problem, Problems, RehearsalServer, Surface
from rehearsal.answers import Answer, Menu, choose, menu
from rehearsal.chance import unit
from rehearsal.completion import Completion, cut
from rehearsal.problems import Asked
from rehearsal.request import Api, CompletionRequest
from rehearsal.tokens import count_chat_tokens, count_tokens
from study import space
from study.config import Arm, Config
from study.prices import Price
from study.space import SearchSpace

DOLLAR: Final = 1_000_000_000
PROBLEMS: Final = 164
TUNED: Final = 20
"""Problems that a search sees, of all that its answer is worth something on."""
N_MAX: Final = 100
MULTIPLES: Final = (12.5, 25.0, 100.0, 400.0)
"""Money for the search, in requests at the inference budget: a 32-fold range."""
HEATS: Final = np.linspace(0.0, 1.0, 21)
LENGTHS: Final = tuple(int(tokens) for tokens in np.geomspace(50, 1000, 24))


class Draws(NamedTuple):
    """Answers to one request: which of the menu's they are, whether they pass, and how long they are."""

    index: np.ndarray
    passes: np.ndarray
    tokens: np.ndarray


class Best(NamedTuple):
    """The best that the inference budget affords."""

    value: float
    config: Config
    cost: float


@dataclass(frozen=True, kw_only=True)
class World:
    """A world.

    Args:
        family: the name of its kind.
        seed: within the family.
        surface: how likely right answers are.
        problems: all of them.
        prices: dollars per million tokens (input, output) by model.
        templates: prompts; `{prompt}` is where the problem goes.
        stops: choices of stop strings.
        api: which API is called.
        inference_usd: what a request may cost on average.
        answers: the menus of a model and template; None is rehearsal's own.
    """

    family: str
    seed: int
    surface: Surface
    problems: tuple[Problem, ...]
    prices: Mapping[str, tuple[float, float]]
    templates: tuple[str, ...]
    stops: tuple[tuple[str, ...], ...] = ()
    api: Api = "chat"
    inference_usd: float
    answers: "Talkative | None" = None
    _known: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """The world's name."""
        return f"{self.family}-{self.seed}"

    @property
    def models(self) -> tuple[str, ...]:
        """The models."""
        return tuple(self.prices)

    @property
    def inference_limit(self) -> int:
        """The inference budget, in nanodollars."""
        return round(self.inference_usd * DOLLAR)

    @property
    def budgets(self) -> tuple[float, ...]:
        """Dollars for the search, over a 32-fold range."""
        return tuple(round(self.inference_usd * multiple, 6) for multiple in MULTIPLES)

    @cached_property
    def tuned(self) -> tuple[int, ...]:
        """The problems that a search sees."""
        chosen = np.random.default_rng([self.seed, 23]).permutation(len(self.problems))[:TUNED]
        return tuple(int(i) for i in chosen)

    @cached_property
    def space_table(self) -> dict[str, Any]:
        """The `[space]` table of a study of this world."""
        table: dict[str, Any] = {
            "model": list(self.models),
            "prompt": list(self.templates),
            "temperature_or_top_p": True,
            "max_tokens": {"low": 50, "high": 1000, "log": True},
            "n": {"low": 1, "high": N_MAX},
        }
        if self.stops:
            table["stop"] = [list(stop) for stop in self.stops]
        return table

    @cached_property
    def space(self) -> SearchSpace:
        """The space of a study of this world."""
        return space.parse(self.space_table, api=self.api)

    @cached_property
    def study_prices(self) -> dict[str, Price]:
        """The prices as the search takes them."""
        return {m: Price.from_usd(input=i, output=o) for m, (i, o) in self.prices.items()}

    @cached_property
    def template_names(self) -> tuple[str, ...]:
        """The templates as the surface knows them."""
        known = Problems.from_rows(self.problems[:1])
        return tuple(known.find(self.render(t, 0)).template for t in range(len(self.templates)))

    def render(self, template: int, problem: int) -> str:
        """The text that asks a problem."""
        return self.templates[template].replace("{prompt}", self.problems[problem].prompt)

    @cached_property
    def prompt_tokens(self) -> np.ndarray:
        """Tokens of each prompt (templates x problems)."""
        return np.array(
            [
                [
                    count_chat_tokens([text]) if self.api == "chat" else count_tokens(text)
                    for text in (self.render(t, p) for p in range(len(self.problems)))
                ]
                for t in range(len(self.templates))
            ]
        )

    def menu(self, problem: Problem, model: str, template: str) -> Menu:
        """What may be answered."""
        if self.answers is None:
            return menu(problem, self.api)
        return self.answers.menu(problem, self.answers.style(model, template))

    def table(self, model: str, template: int, stop: tuple[str, ...]) -> menus.Table:
        """All answers of a model and template, after these stop strings."""
        name = self.template_names[template]
        key = ("table", self.answers and self.answers.style(model, name), stop)
        if key not in self._known:
            self._known[key] = menus.Table.of(
                [menus.stopped(self.menu(p, model, name), stop) for p in self.problems]
            )
        return self._known[key]

    def right(self, model: str, template: int, heat: float) -> np.ndarray:
        """The chance that an answer in the asked format is right, before cuts, per problem."""
        key = ("right", model, template, round(heat, 6))
        if key not in self._known:
            name = self.template_names[template]
            self._known[key] = np.array(
                [
                    self.surface.right_probability(
                        p.id, model=model, template=name, temperature=heat
                    )
                    for p in self.problems
                ]
            )
        return self._known[key]

    def in_format(self, model: str, template: int) -> float:
        """The chance that an answer keeps the format."""
        return 1 - self.surface.format_failure(
            model=model, template=self.template_names[template], api=self.api
        )

    def kinds(self, arm: Arm) -> np.ndarray:
        """The chances of right, wrong and off-format answers (3 x problems)."""
        kept = self.in_format(arm.model, arm.template)
        right = self.right(arm.model, arm.template, heat(arm))
        return np.array([kept * right, kept * (1 - right), np.full_like(right, 1 - kept)])

    def pass_probability(self, arm: Arm) -> np.ndarray:
        """The true chance that one answer passes, per problem."""
        table = self.table(arm.model, arm.template, stop_of(arm))
        return self.kinds(arm)[menus.RIGHT] * table.kept(arm.max_tokens)

    def expected_tokens(self, arm: Arm) -> np.ndarray:
        """The expected tokens of one answer, per problem."""
        table = self.table(arm.model, arm.template, stop_of(arm))
        return (self.kinds(arm) * table.length(arm.max_tokens)).sum(axis=0)

    def value(self, config: Config) -> float:
        """The true chance, over all problems, that one of a request's n answers passes."""
        passing = self.pass_probability(config.arm)
        if heat(config.arm) == 0:
            return float(passing.mean())
        return float((1 - (1 - passing) ** config.n).mean())

    def cost(self, config: Config) -> float:
        """The true mean bill of a request over all problems, in nanodollars."""
        per_input, per_output = (1000 * usd for usd in self.prices[config.arm.model])
        prompt = self.prompt_tokens[config.arm.template].mean()
        output = self.expected_tokens(config.arm).mean()
        return float(prompt * per_input + config.n * output * per_output)

    def best_feasible(self, inference_limit: int | None = None) -> Best:
        """The best config on a fine grid that costs no more than the inference budget."""
        limit = self.inference_limit if inference_limit is None else inference_limit
        if ("best", limit) not in self._known:
            self._known["best", limit] = max(
                self._best_of(model, template, stop, limit)
                for model in self.models
                for template in range(len(self.templates))
                for stop in self.stops or ((),)
            )
        value, cost, n, model, template, params = self._known["best", limit]
        arm = Arm(model=model, template=template, params=json.loads(params))
        return Best(value, Config(arm=arm, n=n), cost)

    def _best_of(
        self, model: str, template: int, stop: tuple[str, ...], limit: int
    ) -> tuple[float, float, int, str, int, str]:
        """The best heat, max_tokens and n: value, cost, n, and what they belong to."""
        per_input, per_output = (1000 * usd for usd in self.prices[model])
        table = self.table(model, template, stop)
        kept = np.array([table.kept(tokens) for tokens in LENGTHS])
        length = np.array([table.length(tokens) for tokens in LENGTHS])
        keeps = self.in_format(model, template)
        prompt = self.prompt_tokens[template].mean() * per_input
        best: tuple[float, float, int, str, int, str] = (0.0, 0.0, 1, model, template, "{}")
        for warmth in HEATS:
            right = self.right(model, template, float(warmth))
            kinds = np.array([keeps * right, keeps * (1 - right), np.full_like(right, 1 - keeps)])
            each = (kinds * length).sum(axis=1).mean(axis=1) * per_output
            n = np.minimum(N_MAX, np.floor((limit - prompt) / each)).astype(int)
            passing = kinds[menus.RIGHT] * kept
            tries = np.ones_like(n) if warmth == 0 else n
            value = (1 - (1 - passing) ** np.maximum(tries, 1)[:, None]).mean(axis=1)
            value[n < 1] = -1.0
            at = int(value.argmax())
            if value[at] > best[0]:
                params: dict[str, Any] = {
                    "temperature": round(float(warmth), 6),
                    "max_tokens": LENGTHS[at],
                }
                if stop:
                    params["stop"] = list(stop)
                answers = int(tries[at])
                cost = float(prompt + answers * each[at])
                best = (float(value[at]), cost, answers, model, template, json.dumps(params))
        return best

    def bound(self, arm: Arm, problem: int, draws: int) -> int:
        """The most that a request can cost, in nanodollars: prompts are bounded by their bytes."""
        price = self.study_prices[arm.model]
        prompt = len(self.render(arm.template, problem).encode()) + 10
        million = prompt * price.input_nanodollars_per_million
        million += draws * arm.max_tokens * price.output_nanodollars_per_million
        return -(-million // 1_000_000)

    def server(self, *, seed: int = 0) -> RehearsalServer:
        """An endpoint that answers as this world does."""
        return RehearsalServer(
            problems=self.problems, models=self.prices, source=Told(self), seed=seed
        )

    def right_answers(self, problem: int) -> list[tuple[str, int]]:
        """All right answers to a problem, whoever gives them: what `menus.judge` wants."""
        found: dict[tuple[str, int], None] = {}
        for model in self.models:
            for template in self.template_names if self.answers else ("",):
                for answer in self.menu(self.problems[problem], model, template).right:
                    found[answer.text, answer.code_end] = None
        return list(found)


class Sampler:
    """Draws a world's answers in process: nothing is cut or judged twice."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._random = np.random.default_rng([seed, 29])
        self._known: dict[tuple[str, int], tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def draw(self, arm: Arm, problem: int, draws: int) -> Draws:
        """The answers to one request."""
        key = (arm.key, problem)
        if key not in self._known:
            self._known[key] = self._law(arm, problem)
        chances, passes, tokens = self._known[key]
        distinct = 1 if heat(arm) == 0 else draws
        index = np.searchsorted(chances, self._random.random(distinct) * chances[-1], side="right")
        index = np.repeat(index, draws // distinct)
        return Draws(index, passes[index], tokens[index])

    def cut(self, arm: Arm, problem: int, index: np.ndarray) -> Draws:
        """The same answers as they would be under another max_tokens or stop."""
        _, passes, tokens = self._law(arm, problem)
        return Draws(index, passes[index], tokens[index])

    def _law(self, arm: Arm, problem: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        table = self._world.table(arm.model, arm.template, stop_of(arm))
        key = ("kinds", arm.model, arm.template, heat(arm))
        known = self._world._known
        if key not in known:
            known[key] = self._world.kinds(arm)
        kind = table.kind[problem]
        chances = np.cumsum(known[key][kind, problem] * table.weight[problem])
        passes = table.needed[problem] <= arm.max_tokens
        return chances, passes, np.minimum(table.tokens[problem], arm.max_tokens)


class Told:
    """A world as a source of rehearsal's: the same law over the wire."""

    label = "synthetic"

    def __init__(self, world: World) -> None:
        self._world = world
        self._drawn: Counter[tuple[object, ...]] = Counter()

    def draw(self, asked: Asked, request: CompletionRequest, *, seed: int) -> list[Completion]:
        """Draw the answers to one request: see rehearsal's `Source`."""
        world, model, template = self._world, request.model, asked.template
        cell = (asked.problem.id, template, model, request.temperature, request.top_p)
        right = world.surface.right_probability(
            asked.problem.id,
            model=model,
            template=template,
            temperature=request.temperature,
            top_p=request.top_p,
        )
        failure = world.surface.format_failure(model=model, template=template, api=request.api)
        answers = world.menu(asked.problem, model, template)
        draws = 1 if request.is_greedy else request.best_of
        first = self._drawn[cell]
        self._drawn[cell] += draws
        completions = []
        for number in range(first, first + draws):
            names = (seed, *cell, number)
            kind = answers.right if unit(*names, "right") < right else answers.wrong
            if unit(*names, "format") < failure:
                kind = answers.off_format
            text = choose(kind, unit(*names, "answer")).text
            completions.append(cut(text, stop=request.stop, tokens_max=request.tokens_max))
        return completions * request.best_of if request.is_greedy else completions


def heat(arm: Arm) -> float:
    """What makes an arm's answers vary: temperature x top_p."""
    return float(arm.params.get("temperature", 1.0)) * float(arm.params.get("top_p", 1.0))


def stop_of(arm: Arm) -> tuple[str, ...]:
    """The arm's stop strings."""
    stop = arm.params.get("stop") or ()
    return (stop,) if isinstance(stop, str) else tuple(stop)


def _made(
    family: str, seed: int, *, lines: float = 6, spread: float = 0.5
) -> tuple[np.random.Generator, tuple[Problem, ...]]:
    number = [*FAMILIES].index(family)
    own = 1000 * number + seed
    return np.random.default_rng([own, 31]), tuple(
        functions.problems(own, PROBLEMS, lines=lines, spread=spread)
    )


def _surface(
    random: np.random.Generator, models: dict[str, ModelTraits], **given: float
) -> Surface:
    """A surface with two modes of difficulty; whatever is not given is drawn."""
    drawn = {
        "hard_share": random.uniform(0.15, 0.4),
        "hard_mean": random.uniform(1.8, 3.0),
        "hard_sd": random.uniform(0.1, 0.5),
        "easy_mean": random.uniform(-0.5, 0.6),
        "easy_sd": random.uniform(0.8, 1.4),
        "spread_power": random.uniform(0.5, 0.9),
        "heat_cost": random.uniform(0.7, 1.8),
        "heat_power": random.uniform(2.0, 4.0),
        "template_sd": random.uniform(0.1, 0.5),
        "interaction_sd": random.uniform(0.1, 0.4),
        "affinity_sd": random.uniform(0.2, 0.5),
    }
    return Surface(seed=int(random.integers(1 << 31)), models=models, **{**drawn, **given})


PROMPTS: Final = (
    "{prompt}",
    "# Python 3\n{prompt}",
    "Complete the following Python function:\n{prompt}",
    "{prompt}\nThink of the edge cases first.",
    "You are an expert programmer. Solve this:\n{prompt}",
    "{prompt}\nAnswer with code only.",
    "Write the body of this function, and nothing else. It will be tested.\n{prompt}",
    "Task:\n{prompt}\nSolution:",
)


def prices_lie(seed: int) -> World:
    """Abilities and prices know nothing of each other."""
    random, problems = _made("prices-lie", seed)
    prices = {"p1": (0.2, 0.8), "p2": (0.5, 2.0), "p3": (1.5, 6.0)}
    prices |= {"p4": (3.0, 12.0), "p5": (10.0, 40.0)}
    models = {
        name: ModelTraits(
            ability=0.2 + 0.8 * random.normal(),
            heat=random.uniform(0.8, 1.2),
            format_failure=random.uniform(0.03, 0.3),
        )
        for name in prices
    }
    return World(
        family="prices-lie",
        seed=seed,
        surface=_surface(random, models),
        problems=problems,
        prices=prices,
        templates=PROMPTS[:3],
        inference_usd=0.005,
    )


def hot(seed: int) -> World:
    """Cool models and hard problems: the best temperature is high, and higher for more answers."""
    random, problems = _made("hot", seed)
    prices = {"h1": (1.0, 5.0), "h2": (2.0, 10.0), "h3": (5.0, 25.0)}
    models = {
        name: ModelTraits(
            ability=-0.4 + 0.5 * rank + 0.4 * random.normal(),
            heat=random.uniform(0.5, 1.0),
            format_failure=random.uniform(0.02, 0.15),
        )
        for rank, name in enumerate(prices)
    }
    surface = _surface(
        random,
        models,
        hard_share=random.uniform(0.3, 0.5),
        hard_mean=random.uniform(1.5, 2.5),
        spread_power=random.uniform(0.8, 1.2),
        heat_cost=random.uniform(0.5, 1.2),
    )
    return World(
        family="hot",
        seed=seed,
        surface=surface,
        problems=problems,
        prices=prices,
        templates=PROMPTS[:3],
        stops=((), ("\n```\n",), ("\ndef ",)),
        inference_usd=0.02,
    )


def prompts(seed: int) -> World:
    """Many prompts, which suit one model and not another."""
    random, problems = _made("prompts", seed)
    prices = {"q1": (0.4, 1.6), "q2": (1.0, 4.0), "q3": (2.5, 10.0)}
    models = {
        name: ModelTraits(
            ability=-0.5 + 0.3 * rank + 0.4 * random.normal(),
            heat=random.uniform(0.8, 1.2),
            format_failure=random.uniform(0.1, 0.4),
        )
        for rank, name in enumerate(prices)
    }
    surface = _surface(
        random,
        models,
        template_sd=random.uniform(0.4, 0.8),
        interaction_sd=random.uniform(0.7, 1.2),
        format_spread=random.uniform(0.8, 1.6),
    )
    return World(
        family="prompts",
        seed=seed,
        surface=surface,
        problems=problems,
        prices=prices,
        templates=PROMPTS,
        inference_usd=0.005,
    )


OUTRO: Final = "\n\nExplanation: "


def verbose(seed: int) -> World:
    """Long answers with much around the code: stops save money or do harm, and max_tokens matters."""
    random, problems = _made("verbose", seed, lines=14, spread=0.6)
    prices = {"v1": (0.5, 2.5), "v2": (1.0, 5.0), "v3": (3.0, 15.0)}
    models = {
        name: ModelTraits(
            ability=-0.4 + 0.5 * rank + 0.4 * random.normal(),
            heat=random.uniform(0.8, 1.2),
            format_failure=random.uniform(0.1, 0.4),
        )
        for rank, name in enumerate(prices)
    }
    surface = _surface(random, models, format_spread=random.uniform(0.5, 1.2))
    return World(
        family="verbose",
        seed=seed,
        surface=surface,
        problems=problems,
        prices=prices,
        templates=PROMPTS[:4],
        stops=((), (OUTRO.rstrip(),), ("\n```\n",), ("\nreturn", "\n    for")),
        inference_usd=0.02,
        answers=Talkative(surface.seed),
    )


class Talkative:
    """Menus in which the code has much said before and behind it: how much, model and template say."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._known: dict[tuple[str, int], Menu] = {}

    def style(self, model: str, template: str) -> int:
        """How much a model says to a template: 0 (little) to 4."""
        return int(5 * unit(self._seed, "talk", model, template))

    def menu(self, problem: Problem, style: int) -> Menu:
        """The menu of a problem."""
        key = (problem.id, style)
        if key not in self._known:
            self._known[key] = self._menu(problem, 0.4 + 0.4 * style)
        return self._known[key]

    def _menu(self, problem: Problem, talk: float) -> Menu:
        plain = menu(problem, "completions")
        before = "First, a look at what is asked. " + self._words(15 * talk, problem, "before")
        behind = OUTRO + self._words(100 * talk, problem, "behind")
        return Menu(
            right=self._said(plain.right, before, behind),
            wrong=self._said(plain.wrong, before, behind),
            off_format=(
                Answer(text=before, code_end=0, weight=0.5),
                Answer(text=before + behind, code_end=0, weight=0.5),
            ),
        )

    def _words(self, count: float, problem: Problem, where: str) -> str:
        length = max(1, round(count * (0.5 + unit(self._seed, where, problem.id))))
        words = functions.WORDS
        return " ".join(
            words[int(unit(self._seed, where, problem.id, i) * len(words))] for i in range(length)
        )

    @staticmethod
    def _said(answers: tuple[Answer, ...], before: str, behind: str) -> tuple[Answer, ...]:
        codes: dict[str, float] = {}
        for answer in answers:
            code = answer.text[: answer.code_end]
            codes[code] = codes.get(code, 0.0) + answer.weight
        said = []
        for code, share in codes.items():
            opened = f"{before}\n\n```python\n"
            said += [
                Answer(text=code + behind, code_end=len(code), weight=0.4 * share),
                Answer(
                    text=f"{opened}{code}\n```\n{behind}",
                    code_end=len(opened) + len(code),
                    weight=0.6 * share,
                ),
            ]
        return tuple(said)


def humaneval(seed: int) -> World:
    """HumanEval's problems, and a model with code-davinci-002's numbers between two others."""
    random = np.random.default_rng([seed, 37])
    models = {
        "code-small": ModelTraits(ability=-0.7 + 0.3 * random.normal()),
        "code-davinci": ModelTraits(ability=0.0),
        "code-large": ModelTraits(ability=0.7 + 0.3 * random.normal()),
    }
    return World(
        family="humaneval",
        seed=seed,
        surface=Surface(seed=500 + seed, models=models),
        problems=_humaneval_problems(),
        prices={"code-small": (0.5, 1.5), "code-davinci": (2.0, 8.0), "code-large": (10.0, 30.0)},
        templates=("{prompt}", "# Python 3\n{prompt}", "Complete the following Python function:\n{prompt}"),
        stops=(("\nclass", "\ndef", "\nif", "\nprint"), ("\n\n",)),
        api="completions",
        inference_usd=0.02,
    )  # fmt: skip


def _humaneval_problems() -> tuple[Problem, ...]:
    with gzip.open(humaneval_path(), "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines if line.strip()]
    return tuple(
        Problem(
            id=row["task_id"],
            prompt=row["prompt"].lstrip(),
            solution=row["canonical_solution"],
            entry_point=row["entry_point"],
        )
        for row in rows
    )


def humaneval_path() -> Path:
    """Where HumanEval lies: under BURSAR_DATA_DIR (left out: as for the tests)."""
    usual = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("BURSAR_DATA_DIR", usual)) / "problems" / "HumanEval.jsonl.gz"


FAMILIES: Final[dict[str, Callable[[int], World]]] = {
    "prices-lie": prices_lie,
    "hot": hot,
    "prompts": prompts,
    "verbose": verbose,
    "humaneval": humaneval,
}


def families() -> tuple[str, ...]:
    """The families that can be had here; HumanEval needs its data."""
    return tuple(name for name in FAMILIES if name != "humaneval" or humaneval_path().exists())


def world(family: str, seed: int) -> World:
    """Draw a world."""
    return FAMILIES[family](seed)
