"""Keys: those of one script share a slot, and those that live for ever are on the list."""

import inspect
from pathlib import Path

import pytest

from study import keys


def slot(key: str) -> str:
    """The hash tag: what a Redis Cluster places the key by."""
    return key[key.index("{") + 1 : key.index("}")]


def every_key(word: str) -> dict[str, str]:
    """Each key function's key, with one word for all arguments."""
    functions = inspect.getmembers(keys, inspect.isfunction)
    made = {
        name: function(*[word] * len(inspect.signature(function).parameters))
        for name, function in functions
        if function.__module__ == keys.__name__ and name != "is_permanent"
    }
    assert len(made) > 10
    return made


def test_every_key_says_its_type_and_whether_it_ends() -> None:
    for name, key in every_key("x").items():
        says = inspect.getdoc(getattr(keys, name)) or ""
        assert ("permanent" in says) is keys.is_permanent(key), name
        assert ("permanent" in says) or ("TTL" in says), name


def test_no_two_functions_name_the_same_key() -> None:
    made = every_key("x")
    assert len(set(made.values())) == len(made)


def test_the_keys_of_a_script_share_a_slot() -> None:
    ledger = [keys.account("s"), keys.reservations("s"), keys.journal("s")]
    ledger += [keys.account(keys.FLEET_ACCOUNT), keys.journal(keys.FLEET_ACCOUNT)]
    assert len(set(map(slot, ledger))) == 1
    call = [keys.claim("s", "a/e/0+2"), keys.attempts("s"), keys.paid_calls("s", "a", "e")]
    result = [keys.results_recorded("s"), keys.results("s")]
    assert set(map(slot, call + result)) == {"s"}
    rate = [keys.rate("host/v1", "m", what) for what in ("requests", "tokens", "again", "pause")]
    assert len(set(map(slot, rate))) == 1


@pytest.mark.parametrize("key", ["bursar:{s}:lease", "bursar:rate:{m}:pause", "other", ""])
def test_what_is_not_on_the_list_must_end(key: str) -> None:
    assert not keys.is_permanent(key)


def test_the_readme_lists_every_key(repository: Path) -> None:
    readme = (repository / "study" / "README.md").read_text(encoding="utf-8")
    for name in every_key("x"):
        function = getattr(keys, name)
        key = function(*[word.upper() for word in inspect.signature(function).parameters])
        assert f"`{key}`" in readme, f"study/README.md lacks {key}"
