"""The walk-through: tune, use and test a configuration for HumanEval.

OPENAI_API_KEY=... python examples/humaneval.py
python examples/humaneval.py --rehearse                    no key, no cost: synthetic answers
python examples/humaneval.py --data HumanEval.jsonl.gz     a local file instead of the hub's
"""

import argparse
import contextlib
import logging

import datasets

import bursar

SEED = 41
TUNE_SIZE = 20
PROMPTS = [
    "{prompt}",
    "# Python 3{prompt}",
    "Complete the following Python function:{prompt}",
    "Complete the following Python function while including necessary import statements inside "
    "the function:{prompt}",
]


def load(path: str | None) -> list[dict]:
    """The 164 problems, shuffled: from a local file, or from the Hugging Face hub."""
    if path is None:
        data = datasets.load_dataset("openai/openai_humaneval")["test"]
    else:
        data = datasets.load_dataset("json", data_files=path)["train"]
    columns = ["task_id", "prompt", "test", "entry_point", "canonical_solution"]
    return list(data.shuffle(seed=SEED).select_columns(columns))


def main() -> None:
    """Tune on twenty problems, answer one, test on the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="a local JSONL file, which may be compressed")
    parser.add_argument(
        "--rehearse", action="store_true", help="synthetic answers: no key, no cost"
    )
    parser.add_argument("--optimization-budget", type=float, default=4.0, help="dollars, in all")
    parser.add_argument("--test-size", type=int, help="of the other problems; all if left out")
    options = parser.parse_args()
    logging.basicConfig(format="%(message)s")

    problems = load(options.data)
    tune_data, test_data = problems[:TUNE_SIZE], problems[TUNE_SIZE:][: options.test_size]

    with bursar.rehearsal() if options.rehearse else contextlib.nullcontext():
        # Tune: which model, prompt, temperature or top_p, max_tokens and n are the best that
        # 10 cents a request can buy?
        config, analysis = bursar.tune(
            data=tune_data,
            metric="expected_success",
            mode="max",
            # Runs the answers against the problem's tests, in the sandbox, and returns `success` and
            # `expected_success = 1 - (1 - passes/n)^n`. Any eval_func(responses, **example) -> dict
            # will do: a lambda in a notebook, or "package.module:function" for the workers.
            eval_func=bursar.python_tests,
            log_file_name="humaneval.log",
            inference_budget=0.1,
            optimization_budget=options.optimization_budget,
            num_samples=-1,
            logging_level=logging.INFO,
            prompt=PROMPTS,
            stop=["\nclass", "\ndef", "\nif", "\nprint"],
        )
        print("best config:", analysis.best_config)
        print("best result on the tuning data:", analysis.best_result)
        print("trials:", len(analysis.trials))

        # Use it: one request, with the example's columns as the context.
        responses = bursar.create(context=tune_data[1], **config)
        print("an answer:", bursar.extract_text(responses)[0], sep="\n")
        print("its metrics:", bursar.python_tests(bursar.extract_text(responses), **tune_data[1]))
        print("its cost in dollars:", responses.cost)

        # Test it: on the problems that it was not tuned on.
        result = bursar.test(test_data, config)
        print("performance on the test data:", result)
    if options.rehearse:
        print("This was a rehearsal: synthetic answers, no model was asked, no money was spent.")


if __name__ == "__main__":
    main()
