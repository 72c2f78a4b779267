"""FLAML's tune, the real one, on jobs from standard input; runs in a virtual environment of its own.

FLAML never seeds its BlendSearch: each run of a space begins with the same points. What can differ from seed
to seed is the order of the data, and what the endpoint answers.
"""

import contextlib
import json
import logging
import os
import random
import sys
import tempfile
import time

import openai
from flaml import oai, tune

logging.disable(logging.WARNING)


def judge(text, right):
    """Whether an answer is one of the right ones, as the API may have cut it."""
    return any(len(text) >= end and whole.startswith(text) for whole, end in right)


def score(responses, right, **_):
    """EcoOptiGen's own metrics of n answers."""
    passes, n = sum(judge(text, right) for text in responses), len(responses)
    return {"expected_success": 1 - (1 - passes / n) ** n, "success": float(passes > 0)}


def run(job, cache):
    """One call of tune."""
    openai.api_base, openai.api_key = job["base_url"], "none"
    completion = oai.Completion
    completion.set_cache(job["seed"], cache_path=cache)
    completion.chat_models = set(job["prices"]) if job["api"] == "chat" else set()
    completion.price1K = {m: (i / 1000, o / 1000) for m, (i, o) in job["prices"].items()}
    data = list(job["examples"])
    random.Random(job["seed"]).shuffle(data)
    space = {"model": tune.choice(list(job["prices"])), "prompt": job["templates"]}
    if job["stops"]:
        space["stop"] = job["stops"]
    config, analysis = completion.tune(
        data=data,
        metric="expected_success",
        mode="max",
        eval_func=score,
        inference_budget=job["inference_usd"],
        optimization_budget=job["budget"],
        num_samples=-1,
        **space,
    )
    trials = [t.last_result or {} for t in analysis.trials]
    # Where no trial came to its end, this is a config that was stopped: FLAML returns it all the same.
    reported = analysis.best_result["expected_success"]
    return {
        "config": {
            "model": config["model"],
            "template": job["templates"].index(config["prompt"]),
            "n": int(config["n"]),
            "params": {
                name: config[name]
                for name in ("temperature", "top_p", "max_tokens", "stop")
                if config.get(name) is not None
            },
        },
        "reported": float(reported),
        "trials": len(trials),
        "completed": sum("inference_cost" in t for t in trials),
    }


def main():
    """Answer each job with a line."""
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        began = time.monotonic()
        with (
            tempfile.TemporaryDirectory() as cache,
            open(os.devnull, "w") as nothing,
            contextlib.redirect_stdout(nothing),
        ):
            try:
                result = run(json.loads(line), cache)
            except Exception as exc:  # noqa: BLE001 - it is a result, too: shown in the table
                result = {"config": None, "error": repr(exc)[:500]}
        print(json.dumps({**result, "wall_s": time.monotonic() - began}), file=answers, flush=True)


if __name__ == "__main__":
    main()
