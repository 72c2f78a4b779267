"""`python -m tests.attacks`: runs every attack and prints a table of what was expected and what came."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox import Program, SandboxBox, open_sandbox
from sandbox.engine import connect
from tests.attacks import (
    conftest,
    test_exhausting,
    test_forging,
    test_leaving_early,
    test_outliving,
    test_reaching_out,
    test_scripts,
)

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
    for name, (source, expected) in {**test_exhausting.ATTACKS, **test_exhausting.TEXTS}.items():
        program = Program(source=source, check=conftest.CHECK)
        yield Attack(
            family="exhausting", name=name, judged="data", program=program, expected=some(expected)
        )
    for name, (source, names) in test_reaching_out.ATTACKS.items():
        program = Program(source=f"{source}\n{test_reaching_out.RIGHT}", check=conftest.CHECK)
        right = ("pass",) if names is None else tuple(f"fail:{name}" for name in some(names))
        yield Attack(
            family="reaching out", name=name, judged="data", program=program, expected=right
        )
    for name, source in test_outliving.LEAVINGS.items():
        yield Attack(
            family="outliving",
            name=name,
            judged="data",
            program=Program(source=source, check="pass"),
            expected=(test_outliving.verdict_of(source),),
            after=test_outliving.LOOK_AROUND,
        )


def memory_mib() -> float:
    """What this process, in the worker's place, holds."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def line(attack: Attack, box: SandboxBox) -> tuple[str, bool]:
    """Runs an attack and, behind it, a right and a wrong program, which must not notice."""
    siblings = [conftest.RIGHT, conftest.WRONG, *([attack.after] if attack.after else [])]
    found, *others = [result.verdict for result in box.run([attack.program, *siblings])]
    unharmed = others == ["pass", "fail:AssertionError", "pass"][: len(others)]
    ok = unharmed and found in attack.expected
    expected = " or ".join(attack.expected)
    cells = [attack.family, attack.name, attack.judged, expected, found]
    cells += ["unharmed" if unharmed else f"HARMED {others}", "" if ok else "WRONG"]
    return f"| {' | '.join(cell.replace('|', ' ') for cell in cells)} |", ok


def main() -> int:
    """Prints the table; exit code 1 where a verdict is wrong or something is left."""
    sandbox, wrong, count = open_sandbox(), 0, 0
    print("| family | what it tries | test | expected | got | siblings | |\n" + "|---" * 7 + "|")
    with sandbox.prepare(study=STUDY, limits=conftest.LIMITS, deadline_s=DEADLINE_S) as box:
        box.run([conftest.RIGHT])
        before_mib = memory_mib()
        for attack in attacks():
            text, ok = line(attack, box)
            print(text, flush=True)
            count, wrong = count + 1, wrong + (not ok)
        after_mib = memory_mib()
    client = connect()
    left = client.containers.list(all=True, filters={"label": f"bursar.study={STUDY}"})
    client.close()
    sandbox.close()
    print(
        f"\n{count} runs of {len({(a.family, a.name) for a in attacks()})} attacks, {wrong} wrong"
    )
    print(f"the worker's memory: {before_mib:.1f} MiB before, {after_mib:.1f} MiB after")
    print(f"containers left: {len(left)}")
    return 1 if wrong or left else 0


if __name__ == "__main__":
    sys.exit(main())
