"""The worst case is an upper bound of any bill: of the prompt's tokens, and of the answers'."""

from pathlib import Path

import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st

from study import worst_case
from study.prices import Price, Usage

SEEN_OVERHEAD_TOKENS = 7
"""What one user message was seen to cost above its text's tokens."""
BPE = tiktoken.Encoding(
    "small",
    pat_str=r"\s?\p{L}+|\s?\p{N}+|\s?[^\s\p{L}\p{N}]+|\s+",
    mergeable_ranks={
        **{bytes([byte]): byte for byte in range(256)},
        b"th": 256, b"he": 257, b"the": 258, b" t": 259, b" the": 260, b"in": 261, b"  ": 262,
    },
    special_tokens={"<|endoftext|>": 263},
)  # fmt: skip
"""A byte-level BPE as OpenAI's are, with a few merges."""
ANY_TEXT = st.one_of(st.text(), st.text("the in<|endofx>\u00e4\U0001f600", max_size=80))


@pytest.fixture(autouse=True)
def without_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No tokenizer on this disk, whatever the environment says."""
    monkeypatch.delenv("TIKTOKEN_CACHE_DIR", raising=False)
    worst_case.encoding.cache_clear()


@given(ANY_TEXT)
def test_a_byte_level_bpe_never_makes_more_tokens_than_we_count(text: str) -> None:
    tokens = len(BPE.encode(text, disallowed_special=()))
    assert tokens + SEEN_OVERHEAD_TOKENS <= worst_case.prompt_tokens(text, model="m")


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT), min_size=1, max_size=5))
def test_every_field_of_every_message_is_counted(rows: list[tuple[str, str]]) -> None:
    messages = [{"role": "user", "content": text, "name": name} for text, name in rows]
    tokens = sum(
        len(BPE.encode(text, disallowed_special=())) + len(BPE.encode(name, disallowed_special=()))
        for text, name in rows
    )
    overhead = 4 * len(rows) + 3  # OpenAI's own count for its chat format
    assert tokens + overhead <= worst_case.prompt_tokens(messages, model="m")


def test_a_lone_surrogate_is_counted_too() -> None:
    assert worst_case.prompt_tokens("\ud800", model="m") > 3


@pytest.mark.parametrize(
    ("params", "n", "answers"),
    [
        ({"max_tokens": 100}, 1, 100),
        ({"max_tokens": 100}, 7, 700),
        ({"max_tokens": 100, "best_of": 10}, 3, 1000),
        ({"max_tokens": 100, "best_of": 2}, 3, 300),
        ({"max_tokens": 100, "best_of": None}, 3, 300),
    ],
)
def test_every_answer_may_be_as_long_as_allowed_those_thrown_away_too(
    params: dict[str, object], n: int, answers: int
) -> None:
    assert worst_case.usage("hi", model="m", params=params, n=n).completion_tokens == answers


def test_what_is_sent_along_is_counted_as_prompt() -> None:
    plain = worst_case.usage("hi", model="m", params={"max_tokens": 1}, n=1)
    tools = [{"type": "function", "function": {"name": "f", "description": "d" * 500}}]
    sent = worst_case.usage("hi", model="m", params={"max_tokens": 1, "tools": tools}, n=1)
    assert sent.prompt_tokens > plain.prompt_tokens + 500
    stop = worst_case.usage("hi", model="m", params={"max_tokens": 1, "stop": ["x" * 500]}, n=1)
    assert stop == plain


@given(
    text=ANY_TEXT,
    n=st.integers(1, 128),
    max_tokens=st.integers(1, 5000),
    lengths=st.lists(st.integers(0, 5000), min_size=128, max_size=128),
    input_=st.integers(0, 10**12),
    output=st.integers(0, 10**12),
)
def test_no_bill_is_above_the_worst_case(
    text: str, n: int, max_tokens: int, lengths: list[int], input_: int, output: int
) -> None:
    price = Price(input_nanodollars_per_million=input_, output_nanodollars_per_million=output)
    billed = Usage(
        prompt_tokens=len(BPE.encode(text, disallowed_special=())) + SEEN_OVERHEAD_TOKENS,
        completion_tokens=sum(min(length, max_tokens) for length in lengths[:n]),
    )
    params = {"max_tokens": max_tokens}
    bound = worst_case.cost(text, model="m", params=params, n=n, price=price)
    assert price.cost(billed) <= bound


def test_ranks_that_are_not_on_this_disk_are_never_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []

    def fetch(path: str) -> bytes:
        fetched.append(path)
        raise OSError

    monkeypatch.setattr("tiktoken.load.read_file", fetch)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for model in ("gpt-4o", "gpt-5.4-nano", "gpt-3.5-turbo-instruct", "gpt-oss-20b", "mine"):
        assert worst_case.prompt_tokens("x" * 40, model=model) >= 40
    assert fetched == []


def test_ranks_are_looked_for_under_the_name_that_tiktoken_keeps_them_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file is put there under our name for it; tiktoken reads it, and finds that it is no ranks."""
    fetched: list[str] = []

    def fetch(path: str) -> bytes:
        fetched.append(path)
        raise OSError

    monkeypatch.setattr("tiktoken.load.read_file", fetch)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    file = worst_case.ranks_file("cl100k_base")
    assert file == tmp_path / "9b5ad71b2ce5302211f9c61530b329a4922fc6a4"
    file.write_bytes(b"not the ranks")
    assert worst_case.prompt_tokens("x" * 40, model="gpt-3.5-turbo-instruct") >= 40
    assert not file.exists()  # tiktoken took it for its own, and threw it away
    assert fetched == [worst_case.RANKS_URL.format("cl100k_base")]
