"""Draws regret against dollars; a program of its own, since matplotlib lives apart from us.

python picture.py search.svg < curves.json
"""

import json
import sys

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot

COLOURS = {"bursar": "#0b6e4f", "FLAML": "#c1440e", "Optuna": "#3b5ba5", "random": "#888888"}


def main() -> None:
    """Draw what standard input says."""
    curves = json.load(sys.stdin)
    families = list(dict.fromkeys(curve["family"] for curve in curves))
    mpl.rcParams.update({"font.size": 8, "svg.hashsalt": "bursar"})
    figure, axes = pyplot.subplots(
        1, len(families), figsize=(2.8 * len(families), 3.0), sharey=True, squeeze=False
    )
    for axis, family in zip(axes[0], families, strict=True):
        for curve in curves:
            if curve["family"] == family:
                budgets, mean, low, high = zip(*curve["points"], strict=True)
                colour = COLOURS[curve["method"].split()[0]]
                axis.plot(budgets, mean, "o-", ms=3, lw=1.4, color=colour, label=curve["method"])
                axis.fill_between(budgets, low, high, color=colour, alpha=0.15, lw=0)
        budgets = sorted({p[0] for c in curves if c["family"] == family for p in c["points"]})
        axis.set_xscale("log")
        axis.set_xticks(budgets, [f"{budget:.2g}" for budget in budgets])
        axis.minorticks_off()
        axis.set_title(family)
        axis.set_xlabel("dollars for tuning")
        axis.grid(alpha=0.2)
    axes[0][0].set_ylabel("regret of the true value")
    axes[0][0].set_ylim(bottom=0)
    axes[0][-1].legend(frameon=False, fontsize=7)
    figure.tight_layout()
    figure.savefig(sys.argv[1], metadata={"Date": None})


if __name__ == "__main__":
    main()
