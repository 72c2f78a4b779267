"""Named checks that this host's sandbox holds: run by `python -m sandbox`, the doctor, and workers at their start."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Check:
    """x"""

    name: str
    ok: bool
    detail: str


def self_check() -> list[Check]:
    """x"""
    return []
