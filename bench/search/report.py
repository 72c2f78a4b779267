"""The report of the benchmark: tables and a picture, made from the runs alone."""

import json
import subprocess
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import numpy as np

from bench.search.peers import environments

Run = Mapping[str, Any]
Key = tuple[str, str, int, float]

RESAMPLES: Final = 2000
NAMES: Final = {
    "bursar": "bursar",
    "flaml": "FLAML 1.2.0",
    "optuna": "Optuna 5 TPE + pruning",
    "random": "random + pruning",
}
PEERS: Final = ("flaml", "optuna", "random")
REGRET_RATIO_MAX: Final = 1 / 3  # of FLAML's, in each family
BROKE_MAX: Final = 0.02
WITHIN_MIN: Final = 0.9

INTRODUCTION: Final = """# Search: quality per dollar

What a recommendation is truly worth, on worlds of known truth that are drawn at random
([bench/search](../../bench/search), `make bench-search`). All methods call the same endpoint over
HTTP, at the same prices, on the same 20 of 164 problems; what is said here of value and cost is the
truth over all 164. This page and its picture are written by the benchmark, from its runs.

*Regret*: the best configuration that the inference budget affords (on a fine grid over model,
prompt, heat, max_tokens, stop and n), less the recommended one; no answer is worth 0, and an answer
that breaks the inference budget counts, but is never better than the best. *Strict regret*: there
such an answer is worth 0. *Broke*: the share of recommendations whose true cost is above the
inference budget. *Bias*: the value that the method reports, less the true one. *Within 2 s.e.*: the
true value lies within two reported standard errors; only bursar reports any. *Billed*: by the
endpoint's own books, as a share of the optimization budget: mean and largest. *Wall*: seconds of a
run, with an endpoint that takes no time to think. In brackets: 95 % intervals, by bootstrap over
worlds.

FLAML never seeds its BlendSearch: every run of a space begins with the same points. From seed to
seed the world, the order of the data and the endpoint's answers differ. It returns an answer even where
no trial came to its end. Optuna and random search
prune as EcoOptiGen does: growing subsets, growing n, and an end to what breaks the inference
budget.

What runs here of bursar is its search (`Search`, with eight calls in flight), with the benchmark's own
accounting in place of ledger and workers: each call's worst case is set aside before it is made. So
*billed* says that the search keeps to the money it is given; that the ledger does, under load and
faults, is tested elsewhere (tests/contract, tests/chaos).
"""

WHY: Final = {
    "regret": "What is left is a choice among arms that were seen on few of 20 examples and are held "
    "against the truth over 164: neighbours in heat, prompt or stop differ by less than their errors. "
    "The more so where the best heat lies at the rim of what was tried.",
    "quarter": "With so little money few arms are seen at all, each on a handful of examples.",
    "broke": "A cost is known from the examples seen, at most 20 of 164 and fewer with little money; a few "
    "long ones that weren't seen are more than the margin that is kept for them.",
    "within": "The largest of many uncertain values is recommended, so that the value reported is too high "
    "where little was seen (*bias*); the reported error holds the winner's own doubt, not that of having "
    "chosen it.",
    "billed": "The endpoint billed more than was set aside for a call.",
}
"""Why a target may be missed, by its name: shown where it is."""


def read(path: Path) -> list[Run]:
    """All runs, the latest of each; a line that was cut off in writing is none."""
    runs: dict[Key, Run] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            run = json.loads(line)
        except ValueError:
            continue
        runs[key(run)] = run
    return list(runs.values())


def key(run: Run) -> Key:
    """What a run is known by."""
    return run["method"], run["family"], run["seed"], run["budget"]


def regret(run: Run) -> float:
    """What is missing to the best; breaking the inference budget wins nothing."""
    missing = float(run["best"]) - float(run["value"])
    return max(0.0, missing) if run["cost_share"] > 1 else missing


def strict_regret(run: Run) -> float:
    """The same, if an answer that breaks the inference budget is worth nothing."""
    return float(run["best"]) if run["cost_share"] > 1 else regret(run)


def bootstrap(
    runs: Sequence[Any], statistic: Callable[[Sequence[Any]], float], world: Callable[[Any], Any]
) -> tuple[float, float]:
    """A 95 % interval of a statistic, resampling worlds: runs on one world are not independent."""
    by_world: dict[Any, list[Any]] = {}
    for run in runs:
        by_world.setdefault(world(run), []).append(run)
    groups = list(by_world.values())
    random = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        chosen = random.integers(len(groups), size=len(groups))
        found.append(statistic([run for i in chosen for run in groups[i]]))
    low, high = np.nanpercentile(found, [2.5, 97.5])
    return float(low), float(high)


def _world(run: Run) -> tuple[str, int]:
    return run["family"], run["seed"]


def _mean_regret(runs: Sequence[Run]) -> float:
    return fmean(regret(r) for r in runs)


def _row(title: Sequence[str], runs: Sequence[Run]) -> str:
    low, high = bootstrap(runs, _mean_regret, _world)
    answers = [r for r in runs if r["config"] is not None]
    sure = [r for r in answers if r.get("std_error") is not None]
    within = [abs(r["value"] - r["reported"]) <= 2 * r["std_error"] for r in sure]
    bias = f"{fmean(r['reported'] - r['value'] for r in answers):+.3f}" if answers else ""
    cells = [
        *title,
        str(len(runs)),
        f"{_mean_regret(runs):.3f} ({low:.3f} to {high:.3f})",
        f"{fmean(strict_regret(r) for r in runs):.3f}",
        f"{fmean(r['value'] for r in runs):.3f}",
        f"{fmean(r['config'] is None for r in runs):.0%}",
        f"{fmean(r['cost_share'] > 1 for r in runs):.1%}",
        bias,
        f"{fmean(within):.0%}" if within else "-",
        f"{fmean(r['billed_share'] for r in runs):.1%}, {max(r['billed_share'] for r in runs):.2%}",
        f"{fmean(r['wall_s'] for r in runs):.1f}",
    ]
    return "| " + " | ".join(cells) + " |"


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head), *rows]
    return "\n".join(lines) + "\n"


FIGURES: Final = ("runs", "regret", "strict regret", "true value", "no answer", "broke", "bias",
                  "within 2 s.e.", "billed", "wall s")  # fmt: skip


def _paired(
    runs: Sequence[Run], method: str, other: str, *, share: float, family: str | None
) -> list[tuple[Run, Run]]:
    """Runs of two methods on the same worlds, the first with a share of the second's money."""
    known = {key(r): r for r in runs}
    pairs = []
    for (name, kind, seed, budget), run in known.items():
        if name == other and family in (None, kind):
            mine = known.get((method, kind, seed, round(budget * share, 6)))
            if mine is not None:
                pairs.append((mine, run))
    return pairs


def _ratio(pairs: Sequence[tuple[Run, Run]]) -> float:
    theirs = fmean(regret(b) for _, b in pairs)
    return fmean(regret(a) for a, _ in pairs) / theirs if theirs > 0 else float("nan")


def _ahead(pairs: Sequence[tuple[Run, Run]]) -> float:
    return fmean(a["value"] - b["value"] for a, b in pairs)


def _compared(runs: Sequence[Run], families: Sequence[str]) -> str:
    """bursar against each peer, at equal money and at a quarter of it."""
    rows = []
    for family in (*families, None):
        for other in PEERS:
            cells = [family or "**all**", NAMES[other]]
            for share, statistic, sign in ((1.0, _ratio, ""), (0.25, _ahead, "+")):
                pairs = _paired(runs, "bursar", other, share=share, family=family)
                if not pairs:
                    cells += ["0", "-"]
                    continue
                low, high = bootstrap(pairs, statistic, _world_of_pair)
                spec = f"{sign}.3f"
                value = format(statistic(pairs), spec)
                cells += [str(len(pairs)), f"{value} ({low:{spec}} to {high:{spec}})"]
            rows.append("| " + " | ".join(cells) + " |")
    return _table(
        ("family", "against", "pairs", "bursar's regret / theirs, equal money", "pairs",
         "bursar's true value - theirs, at a quarter of their money"),
        rows,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Target:
    """What was asked for of a family, and the figure."""

    name: str
    """Its key in WHY."""
    head: str
    """As it is said at the head of its column."""
    family: str
    figure: str
    met: bool
    proven: bool = True
    """Whether the whole interval is on the figure's side, where there is one."""

    @property
    def cell(self) -> str:
        """As the table shows it."""
        word = ("yes" if self.proven else "yes, not proven") if self.met else "**no**"
        return f"{word}: {self.figure}"


def targets(runs: Sequence[Run]) -> list[Target]:
    """bursar's targets, family by family and for all of them; over all budgets, quarters included."""
    found = []
    mine = [r for r in runs if r["method"] == "bursar"]
    for family in (*dict.fromkeys(r["family"] for r in mine), None):
        name = family or "**all**"
        for other, most in zip(PEERS, (REGRET_RATIO_MAX, 1.0, 1.0), strict=True):
            pairs = _paired(runs, "bursar", other, share=1.0, family=family)
            if pairs:
                ratio, (low, high) = _ratio(pairs), bootstrap(pairs, _ratio, _world_of_pair)
                asked = "at most a third" if most < 1 else "below 1"
                head = f"regret / {NAMES[other]}'s, equal money: {asked}"
                figure = f"{ratio:.3f} ({low:.3f} to {high:.3f})"
                met, proven = ratio <= most, high <= most
                found.append(_target("regret", head, name, figure, met=met, proven=proven))
        pairs = _paired(runs, "bursar", "flaml", share=0.25, family=family)
        if pairs:
            ahead, (low, high) = _ahead(pairs), bootstrap(pairs, _ahead, _world_of_pair)
            head = f"true value - {NAMES['flaml']}'s, a quarter of its money: at least 0"
            figure = f"{ahead:+.3f} ({low:+.3f} to {high:+.3f})"
            found.append(_target("quarter", head, name, figure, met=ahead >= 0, proven=low >= 0))
        some = [r for r in mine if family in (None, r["family"])]
        answers = [r for r in some if r.get("std_error") is not None]
        broke = sum(r["cost_share"] > 1 for r in some)
        within = sum(abs(r["value"] - r["reported"]) <= 2 * r["std_error"] for r in answers)
        most = max((r["billed_share"] for r in some), default=0.0)
        found += [
            _target("broke", f"broke, all budgets: under {BROKE_MAX:.0%}", name,
                    f"{broke / len(some):.1%} ({broke} of {len(some)})",
                    met=broke / len(some) < BROKE_MAX),
            _target("within", f"within 2 s.e., all budgets: at least {WITHIN_MIN:.0%}", name,
                    f"{within / max(1, len(answers)):.1%} ({within} of {len(answers)})",
                    met=within >= WITHIN_MIN * len(answers)),
            _target("billed", "most billed: at most 100 %", name, f"{most:.2%}", met=most <= 1),
        ]  # fmt: skip
    return found


def _target(
    name: str, head: str, family: str, figure: str, *, met: bool, proven: bool = True
) -> Target:
    return Target(name=name, head=head, family=family, figure=figure, met=met, proven=proven)


def _world_of_pair(pair: tuple[Run, Run]) -> tuple[str, int]:
    return _world(pair[0])


def _targets(found: Sequence[Target]) -> str:
    """The table of targets, and what falls short."""
    heads = list(dict.fromkeys(t.head for t in found))
    cells = {(t.family, t.head): t.cell for t in found}
    table = _table(
        ("family", *heads),
        [
            "| " + " | ".join([name, *(cells.get((name, head), "-") for head in heads)]) + " |"
            for name in dict.fromkeys(t.family for t in found)
        ],
    )
    short, unproven = ([t for t in found if not t.met], [t for t in found if t.met > t.proven])
    lines = [f"- {t.family}, {t.head}. It is **{t.figure}**." for t in short]
    lines += ["", *(WHY[name] + "\n" for name in dict.fromkeys(t.name for t in short))]
    if unproven:
        lines += ["Met, but with an interval that goes beyond the target:\n"]
        lines += [f"- {t.family}, {t.head}: {t.figure}" for t in unproven]
    said = "\n".join(lines).strip("\n") or "Nothing: each target is met, with its whole interval."
    return f"## Targets\n\n{table}\n## What falls short\n\n{said}\n"


def _code(runs: Sequence[Run]) -> str:
    """Which code the runs are of."""
    said = []
    for method in dict.fromkeys(r["method"] for r in runs):
        commits = Counter(r.get("commit") or "not recorded" for r in runs if r["method"] == method)
        listed = ", ".join(f"{commit} ({count} runs)" for commit, count in commits.items())
        said.append(f"{NAMES[method]}: {listed}")
    return "Commit of the code that ran: " + "; ".join(said) + ".\n"


def text(runs: Sequence[Run]) -> str:
    """The tables."""
    families = list(dict.fromkeys(r["family"] for r in runs))
    methods = [m for m in NAMES if any(r["method"] == m for r in runs)]
    common = {(r["family"], r["budget"]) for r in runs if r["method"] in PEERS}
    equal = [r for r in runs if (r["family"], r["budget"]) in common]
    parts = [INTRODUCTION, _code(runs)]
    if "bursar" in methods:
        parts += [_targets(targets(runs))]
    if "bursar" in methods and len(methods) > 1:
        parts += ["## bursar against its peers\n", _compared(runs, families)]
    parts += ["## By family, over all budgets\n"]
    parts.append(
        _table(
            ("family", "method", *FIGURES),
            [
                _row((family or "**all**", NAMES[method]), some)
                for family in (*families, None)
                for method in methods
                if (
                    some := [
                        r for r in equal if r["method"] == method and family in (None, r["family"])
                    ]
                )
            ],
        )
    )
    parts += ["## By budget\n"]
    parts.append(
        _table(
            ("family", "inference / tuning budget", "method", *FIGURES),
            [
                _row((family, f"${budget / multiple:g} / ${budget:g}", NAMES[method]), some)
                for family in families
                for budget, multiple in sorted(
                    {(r["budget"], r["multiple"]) for r in runs if r["family"] == family}
                )
                for method in methods
                if (
                    some := [
                        r
                        for r in runs
                        if (r["method"], r["family"], r["budget"]) == (method, family, budget)
                    ]
                )
            ],
        )
    )
    return "\n".join(parts)


def curves(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Mean regret by budget, with its interval: what the picture shows."""
    drawn = []
    for family in dict.fromkeys(r["family"] for r in runs):
        for method in NAMES:
            some = [r for r in runs if r["family"] == family and r["method"] == method]
            points = []
            for budget in sorted({r["budget"] for r in some}):
                here = [r for r in some if r["budget"] == budget]
                points.append([budget, _mean_regret(here), *bootstrap(here, _mean_regret, _world)])
            if points:
                drawn.append({"family": family, "method": NAMES[method], "points": points})
    return drawn


def write(runs: Sequence[Run], *, folder: Path, environment: Path) -> None:
    """Write the page and its picture.

    Args:
        runs: all of them.
        folder: where the page goes.
        environment: where virtual environments are kept: the picture's has matplotlib.
    """
    folder.mkdir(parents=True, exist_ok=True)
    picture = "\n![Regret against dollars spent on tuning](search.svg)\n\n"
    introduction, rest = INTRODUCTION, text(runs).removeprefix(INTRODUCTION)
    (folder / "search.md").write_text(introduction + picture + rest.lstrip("\n"))
    interpreter = environments.python("picture", folder=environment)
    subprocess.run(
        [interpreter, Path(__file__).with_name("picture.py"), folder / "search.svg"],
        input=json.dumps(curves(runs)),
        text=True,
        check=True,
    )
