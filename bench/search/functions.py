"""Made-up programming problems: what a world asks; apart because they know nothing of any truth."""

import numpy as np

from rehearsal import Problem

VOCABULARY = """
    total value list first number even sorted string given return count item index longest shortest
    sum product every character word position maximum minimum distinct between negative positive
    element order pair window prefix suffix digit matrix row column distance threshold
"""
WORDS = VOCABULARY.split()


def problems(seed: int, count: int, *, lines: float, spread: float) -> list[Problem]:
    """Make problems.

    Args:
        seed: the same one gives the same problems.
        count: how many.
        lines: of a typical solution.
        spread: of the logarithm of the number of lines.
    """
    random = np.random.default_rng([seed, 17])
    return [_problem(random, number, lines, spread) for number in range(count)]


def _problem(random: np.random.Generator, number: int, lines: float, spread: float) -> Problem:
    name = "_".join([*random.choice(WORDS, 2), str(number)])
    sentences = [
        " ".join(random.choice(WORDS, random.integers(6, 14))).capitalize() + "."
        for _ in range(random.integers(2, 12))
    ]
    described = "\n    ".join(sentences)
    prompt = f'def {name}(values: list[int], limit: int) -> int:\n    """{described}\n    """\n'
    length = max(2, round(float(np.exp(random.normal(np.log(lines), spread)))))
    return Problem(
        id=f"made/{seed_name(random)}/{number}",
        prompt=prompt,
        solution=_body(random, length),
        entry_point=name,
    )


def seed_name(random: np.random.Generator) -> str:
    """Name a problem by chance: difficulties are functions of names."""
    return f"{random.integers(1 << 32):08x}"


def _body(random: np.random.Generator, length: int) -> str:
    lines = ["    found = limit"]
    while len(lines) < length:
        first, second = random.choice(WORDS, 2)
        a, b = random.integers(2, 99, 2)
        lines += [
            [f"    {first}_{second} = found * {a} + {b}", f"    found += {first}_{second} % {b}"],
            [f"    if found > {a}:", f"        found -= len(values) + {b}"],
            [f"    for {first} in values:", f"        found += {first} % {a}"],
            [f"    found = max(found, limit - {a})  # the {first} {second}"],
        ][random.integers(4)]
    return "\n".join([*lines, "    return found"]) + "\n"
