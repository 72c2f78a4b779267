"""Optuna's TPE, or chance, with pruning of EcoOptiGen's kind, on jobs from standard input.

    python pruned.py tpe|random

As in EcoOptiGen, a config is evaluated on growing subsets of the data with growing n. It is stopped once
it surely breaks the inference budget (and counts 0), and which n were within it is remembered. Quality
stops nothing.
"""

import http.client
import json
import math
import random
import sys
import time
from urllib.parse import urlsplit

TRIALS_MAX = 2000
"""Configs that are stopped unseen cost nothing: money alone does not end a search."""


class Spent(Exception):
    """The money is gone."""


def judge(text, right):
    """Whether an answer is one of the right ones, as the API may have cut it."""
    return any(len(text) >= end and whole.startswith(text) for whole, end in right)


class Evaluation:
    """Evaluates configs, for as long as the money lasts."""

    def __init__(self, job):
        self._job, self.spent = job, 0.0
        url = urlsplit(job["base_url"])
        self._connection = http.client.HTTPConnection(url.hostname, url.port, timeout=60)
        self._path = url.path + ("/chat/completions" if job["api"] == "chat" else "/completions")
        self._data = list(job["examples"])
        random.Random(job["seed"]).shuffle(self._data)
        self._within, self._beyond = {}, {}

    def close(self):
        """Hang up."""
        self._connection.close()

    def value(self, config):
        """The config's metric; 0 where it breaks the inference budget (and that it does)."""
        n, tokens = config["n"], config["params"]["max_tokens"]
        region = config["model"], config["template"], tuple(config["params"].get("stop", ()))
        within = max((k for t, k in self._within.get(region, ()) if t >= tokens), default=0)
        beyond = min((k for t, k in self._beyond.get(region, ()) if t <= tokens), default=n + 1)
        if n >= beyond:
            return 0.0, False
        paid = [{"answers": 0, "passes": 0, "output": 0, "prompt": 0} for _ in self._data]
        k = n if n <= within else within + 1
        while True:
            verdict = self._subsets(config, k, last=k == n, paid=paid)
            if verdict is False:
                self._beyond.setdefault(region, []).append((tokens, k))
                return 0.0, False
            if verdict:
                self._within.setdefault(region, []).append((tokens, k))
            if k == n:
                return sum(1 - (1 - p["passes"] / n) ** n for p in paid) / len(paid), True
            k = min(2 * k, n)

    def _subsets(self, config, k, *, last, paid):
        """Whether k answers are within the inference budget; None where that stays open."""
        size, total = 1, len(self._data)
        while True:
            for example, known in zip(self._data[:size], paid, strict=False):
                self._buy(config, example, known, k - known["answers"])
            cost = sum(self._cost(config["model"], known, k) for known in paid[:size]) / size
            share = cost / self._job["inference_usd"]
            # Hoeffding and Serfling: sampling without replacement, from a half on the tighter form.
            unseen = 1 - (size - 1) / total
            if 2 * size > total:
                unseen = (1 - size / total) * (1 + 1 / size)
            margin = 0.1 * math.sqrt(unseen / size)
            if share > 1 + margin:
                return False
            if share <= 1 - margin and (not last or size == total):
                return True
            if size == total:
                return None
            size = min(2 * size, total)

    def _cost(self, model, known, k):
        per_input, per_output = self._job["prices"][model]
        output = known["output"] * k / known["answers"]
        return (known["prompt"] * per_input + output * per_output) / 1e6

    def _buy(self, config, example, known, n):
        if n <= 0:
            return
        text = self._job["templates"][config["template"]].format(prompt=example["prompt"])
        chat = self._job["api"] == "chat"
        asked = {"messages": [{"role": "user", "content": text}]} if chat else {"prompt": text}
        body = json.dumps({"model": config["model"], "n": n, **asked, **config["params"]})
        self._connection.request("POST", self._path, body, {"content-type": "application/json"})
        reply = json.loads(self._connection.getresponse().read())
        usage = reply["usage"]
        per_input, per_output = self._job["prices"][config["model"]]
        self.spent += (
            usage["prompt_tokens"] * per_input + usage["completion_tokens"] * per_output
        ) / 1e6
        if self.spent >= self._job["budget"]:
            raise Spent
        said = [c["message"]["content"] if chat else c["text"] for c in reply["choices"]]
        known["answers"] += n
        known["passes"] += sum(judge(answer, example["right"]) for answer in said)
        known["output"] += usage["completion_tokens"]
        known["prompt"] = usage["prompt_tokens"]


class Chance:
    """Proposes at random."""

    def __init__(self, seed):
        self._random = random.Random(seed)

    def begin(self):
        """Nothing to begin."""

    def choice(self, name, options):
        """One of them."""
        return self._random.choice(options)

    def number(self, name, high):
        """Between 0 and `high`."""
        return self._random.uniform(0, high)

    def integer(self, name, low, high, *, log=False):
        """A whole number."""
        if log:
            drawn = math.exp(self._random.uniform(math.log(low), math.log(high + 1)))
            return min(high, int(drawn))
        return self._random.randint(low, high)

    def tell(self, value):
        """Nothing is learned."""


class Tpe:
    """Proposes as Optuna's TPE does."""

    def __init__(self, seed):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=seed)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._trial = None

    def begin(self):
        """A new trial."""
        self._trial = self._study.ask()

    def choice(self, name, options):
        """One of them."""
        return options[self._trial.suggest_categorical(name, list(range(len(options))))]

    def number(self, name, high):
        """Between 0 and `high`."""
        return self._trial.suggest_float(name, 0.0, high)

    def integer(self, name, low, high, *, log=False):
        """A whole number."""
        return self._trial.suggest_int(name, low, high, log=log)

    def tell(self, value):
        """What came of the trial."""
        self._study.tell(self._trial, value)


def propose(proposer, job):
    """A config."""
    proposer.begin()
    warmth = proposer.choice("warmth", ["temperature", "top_p"])
    params = {
        warmth: proposer.number(warmth, 1.0),
        "max_tokens": proposer.integer("max_tokens", 50, 1000, log=True),
    }
    if job["stops"]:
        params["stop"] = proposer.choice("stop", job["stops"])
    return {
        "model": proposer.choice("model", list(job["prices"])),
        "template": proposer.choice("template", list(range(len(job["templates"])))),
        "n": proposer.integer("n", 1, 100),
        "params": params,
    }


def run(kind, job):
    """One search."""
    evaluation, proposer = Evaluation(job), {"tpe": Tpe, "random": Chance}[kind](job["seed"])
    best, reported, completed, trials = None, -1.0, 0, 0
    try:
        while trials < TRIALS_MAX:
            trials += 1
            config = propose(proposer, job)
            value, whole = evaluation.value(config)
            completed += whole
            if whole and value > reported:
                best, reported = config, value
            proposer.tell(value)
    except Spent:
        pass
    finally:
        evaluation.close()
    return {"config": best, "reported": reported, "trials": trials, "completed": completed}


def main():
    """Answer each job with a line."""
    for line in sys.stdin:
        began = time.monotonic()
        result = run(sys.argv[1], json.loads(line))
        print(json.dumps({**result, "wall_s": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
