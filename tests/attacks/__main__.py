"""`python -m tests.attacks [FILE]`: runs every attack, and prints what was expected and what came."""

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox import Program, open_sandbox
from sandbox.engine import connect
from tests.attacks import (
    conftest,
    test_exhausting,
    test_forging,
    test_leaving_early,
    test_memory_pressure,
    test_outliving,
    test_reaching_out,
    test_scripts,
    test_the_judges_wire,
    test_the_prompts_functions,
)
from workers.box import Box

STUDY = "attack-table"
DEADLINE_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class Attack:
    """A hostile program, what it is after, and the verdicts that are right."""

    family: str
    name: str
    judged: str
    program: Program
    expected: tuple[str, ...]
    after: Program | None = None


def some(expected: object) -> tuple[str, ...]:
    """One verdict, or any of several."""
    return (expected,) if isinstance(expected, str) else tuple(expected)  # type: ignore[arg-type]


def both_ways(family: str, table: dict[str, tuple[object, ...]]) -> Iterator[Attack]:
    """Attacks on the verdict: the test as data and as code."""
    for name, (source, *expected) in table.items():
        checks = (("data", conftest.CHECK), ("code", test_forging.AS_CODE))
        for (judged, check), right in zip(checks, (expected[0], expected[-1]), strict=True):
            program = Program(source=str(source), check=check)
            yield Attack(
                family=family, name=name, judged=judged, program=program, expected=some(right)
            )


def attacks() -> Iterator[Attack]:
    """All of them, family by family."""
    yield from both_ways("leaving early", test_leaving_early.ATTACKS)
    yield from both_ways("forging", test_forging.ATTACKS)
    yield from both_ways("posing", test_forging.APART)
    for name, (source, expected) in test_scripts.ATTACKS.items():
        program = Program(source=source, exchanges=test_scripts.EXCHANGES)
        yield Attack(
            family="scripts", name=name, judged="script", program=program, expected=some(expected)
        )
    for name, (row, answer, verdict) in test_the_prompts_functions.ATTACKS.items():
        program = test_the_prompts_functions.program_of(row, answer)
        yield Attack(
            family="the prompt's", name=name, judged="data", program=program, expected=(verdict,)
        )
    expected = test_memory_pressure.EXPECTED
    pressure = {name: (source, expected) for name, source in test_memory_pressure.ATTACKS.items()}
    for family, table in {
        "the judge's wire": test_the_judges_wire.ATTACKS,
        "memory pressure": pressure,
        "exhausting": {**test_exhausting.ATTACKS, **test_exhausting.TEXTS},
    }.items():
        for name, (source, expected) in table.items():
            program = Program(source=source, check=conftest.CHECK)
            yield Attack(
                family=family, name=name, judged="data", program=program, expected=some(expected)
            )
    for name, (source, names) in test_reaching_out.ATTACKS.items():
        program = Program(source=f"{source}\n{test_reaching_out.RIGHT}", check=conftest.CHECK)
        exceptions = (names,) if names is None else some(names)
        right = tuple(f"fail:{name}" if name else "pass" for name in exceptions)
        yield Attack(
            family="reaching out", name=name, judged="data", program=program, expected=right
        )
    for name, source in test_outliving.LEAVINGS.items():
        yield Attack(
            family="outliving",
            name=name,
            judged="data",
            program=Program(source=source, check="pass"),
            expected=test_outliving.verdicts_of(source),
            after=test_outliving.LOOK_AROUND,
        )


def memory_mib() -> float:
    """What this process, in the worker's place, holds."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def line(attack: Attack, box: Box) -> tuple[str, bool]:
    """Runs an attack and, behind it, a right and a wrong program, which must not notice."""
    siblings = [conftest.RIGHT, conftest.WRONG, *([attack.after] if attack.after else [])]
    found, *others = [result.verdict for result in box.run([attack.program, *siblings])]
    unharmed = others == ["pass", "fail:AssertionError", "pass"][: len(others)]
    ok = unharmed and found in attack.expected
    expected = " or ".join(attack.expected)
    cells = [attack.family, attack.name, attack.judged, expected, found]
    cells += ["unharmed" if unharmed else f"HARMED {others}", "" if ok else "WRONG"]
    return f"| {' | '.join(cell.replace('|', ' ') for cell in cells)} |", ok


def report() -> Iterator[tuple[str, bool]]:
    """The table, line by line, and whether each is as it should be."""
    sandbox, wrong, count = open_sandbox(), 0, 0
    yield "| family | what it tries | test | expected | got | siblings | |", True
    yield "|---" * 7 + "|", True
    with Box(
        sandbox, study=STUDY, limits=conftest.LIMITS, deadline_s=DEADLINE_S, sleep=time.sleep
    ) as box:
        box.run([conftest.RIGHT])
        before_mib = memory_mib()
        for attack in attacks():
            text, ok = line(attack, box)
            yield text, ok
            count, wrong = count + 1, wrong + (not ok)
        after_mib = memory_mib()
    client = connect()
    left = client.containers.list(all=True, filters={"label": f"bursar.study={STUDY}"})
    client.close()
    sandbox.close()
    names = {(attack.family, attack.name) for attack in attacks()}
    yield f"\n{count} runs of {len(names)} attacks, {wrong} wrong.", True
    yield f"The worker's memory: {before_mib:.1f} MiB before, {after_mib:.1f} MiB after.", True
    yield f"Containers left: {len(left)}.", not left


def main() -> int:
    """Prints the table; exit code 1 where a verdict is wrong or something is left."""
    lines, well = [], True
    for text, ok in report():
        print(text, flush=True)
        lines.append(text)
        well = well and ok
    for file in map(Path, sys.argv[1:]):
        head = f"# Attacks on the sandbox\n\nWritten by `python -m tests.attacks {file}`.\n\n"
        file.write_text("\n".join([head.rstrip("\n"), "", *lines, ""]))
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
