"""Whoever can write to the broker can send a worker anything: it is refused, and harms nothing."""

import base64
import json
import pickle
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import redis

from study import fleet, keys
from study.connection import Client
from study.messages import EVALUATE_EXAMPLE, MESSAGE_BYTES_MAX, QUEUE
from workers.incoming import NotOurs, check

from .test_a_worker_process import CANARY, Fleet, cluster, wait_until

__all__ = ["cluster"]

PIDBOX: Final = "/1.celery.pidbox"


class Bomb:
    """What a pickle does as it is read: it leaves a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return (open, (str(self.file), "w"))


def envelope(
    message: object,
    *,
    body: bytes | None = None,
    headers: dict[str, Any] | None = None,
    properties: dict[str, Any] | None = None,
    **parts: Any,
) -> dict[str, Any]:
    """A message as Celery sends it, with some parts exchanged."""
    links = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    content = json.dumps([[message], {}, links]).encode() if body is None else body
    return {
        "body": base64.b64encode(content).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": EVALUATE_EXAMPLE,
            "id": "an-id",
            "retries": 0,
            "timelimit": [None, None],
            **(headers or {}),
        },
        "properties": {
            "correlation_id": "an-id",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": "a-tag",
            **(properties or {}),
        },
        **parts,
    }


def forgeries(study: str, arm: str, marker: Path) -> dict[str, bytes]:
    """Messages that no coordinator sends, by what is wrong with them."""
    ours = {"study": study, "trial": 0, "arm": arm, "example": "tune-0"}
    ours |= {"first_draw": 0, "draws": 1}
    link = {"task": "celery.accumulate", "args": [], "kwargs": {}, "options": {}}
    links = {"callbacks": [link], "errbacks": None, "chain": None, "chord": None}
    bomb = pickle.dumps(Bomb(marker))
    messages = {
        "no message": None,
        "a text": "rm -rf",
        "a list": [ours],
        "nothing": {},
        "an unknown field": {**ours, "eval_func": "os:system"},
        "a field too few": {k: v for k, v in ours.items() if k != "arm"},
        "draws before the first": {**ours, "first_draw": -1},
        "no draws": {**ours, "draws": 0},
        "a billion draws": {**ours, "draws": 10**9},
        "draws as a text": {**ours, "draws": "many"},
        "half a draw": {**ours, "draws": 1.5},
        "not a number": {**ours, "draws": float("nan")},
        "a long study": {**ours, "study": "x" * 10_000},
        "a study that is no text": {**ours, "study": {"$ne": 1}},
        "deep": {**ours, "study": json.loads("[" * 500 + "]" * 500)},
    }
    envelopes: dict[str, Any] = {
        **{what: envelope(message) for what, message in messages.items()},
        "no envelope": [],
        "an empty envelope": {},
        "a number": 1,
        "no properties": {"body": "", "headers": {}},
        "no id": envelope(ours, headers={"id": None}),
        "another task": envelope(ours, headers={"task": "os.system"}),
        "a task of Celery's own": envelope(ours, headers={"task": "celery.chord_unlock"}),
        "a task that is no name": envelope(ours, headers={"task": ["x"]}),
        "headers as a list": {**envelope(ours), "headers": []},
        "later": envelope(ours, headers={"eta": "2999-01-01T00:00:00"}),
        "never": envelope(ours, headers={"eta": "soon"}),
        "expired": envelope(ours, headers={"expires": "1999-01-01T00:00:00"}),
        "another name": envelope(ours, headers={"shadow": CANARY}),
        "retried": envelope(ours, headers={"retries": 10**6}),
        "a time limit": envelope(ours, headers={"timelimit": [0.001, 0.001]}),
        "a follower": envelope(ours, body=json.dumps([[ours], {}, links]).encode()),
        "keywords": envelope(ours, body=json.dumps([[ours], {"x": 1}, {}]).encode()),
        "two messages": envelope(ours, body=json.dumps([[ours, ours], {}, {}]).encode()),
        "a pickle": envelope(
            ours, body=bomb, **{"content-type": "application/x-python-serialize"}
        ),
        "a hidden pickle": envelope(ours, body=bomb),
        "YAML": envelope(ours, body=b"!!python/object/apply:os.getcwd []",
                         **{"content-type": "application/x-yaml"}),
        "another charset": {**envelope(ours), "content-encoding": "utf-7"},
        "a compressed bomb": envelope(
            ours,
            body=zlib.compress(b"[" * 5_000_000),
            headers={"compression": "application/x-gzip"},
        ),
        "no base64": {**envelope(ours), "body": "%%%"},
        "a body in another form": envelope(ours, properties={"body_encoding": None}),
        "a tag that is a list": envelope(ours, properties={"delivery_tag": []}),
    }  # fmt: skip
    raw = {what: json.dumps(one).encode() for what, one in envelopes.items()}
    return raw | {
        "no JSON": b"\x80\x04]\x94.",
        "half a JSON": raw["nothing"][:-5],
        "an empty message": b"",
        "no UTF-8": raw["nothing"].replace(b"an-id", b"\xff\xfe"),
        "too large": json.dumps(envelope(ours, padding="x" * MESSAGE_BYTES_MAX)).encode(),
        "deep JSON": b"[" * 10_000,
    }


EXAMPLES: Final = forgeries("s-1", "0" * 16, Path("/nowhere"))


@pytest.mark.parametrize("what", EXAMPLES)
def test_only_what_a_coordinator_sends_is_let_in(what: str) -> None:
    with pytest.raises(NotOurs) as refused:
        check(EXAMPLES[what])
    assert CANARY not in str(refused.value)


def test_what_a_coordinator_sends_is_let_in() -> None:
    ours = {"study": "s-1", "trial": 0, "arm": "a", "example": "tune-0"}
    check(json.dumps(envelope({**ours, "first_draw": 0, "draws": 1})).encode())


@pytest.fixture
def queue(cluster: Fleet) -> Iterator[Client]:
    """The broker's database, as anybody sees it who may write to it."""
    with redis.Redis(port=cluster.own.port, db=1) as client:
        yield client


def test_a_worker_refuses_what_is_forged_and_goes_on(
    cluster: Fleet, queue: Client, tmp_path: Path
) -> None:
    worker = cluster.start(slots=2)
    before = sorted(cluster.redis.keys("*"))
    forged = forgeries(cluster.record.id, cluster.arm.key, tmp_path / "exploded")
    for message in forged.values():
        queue.lpush(QUEUE, message)
    commands = [b"", b"{}", b"[]", b"\x80", b"7", b'{"properties": {}}', b'{"properties": []}']
    for command in commands:
        queue.publish(PIDBOX, command)
    cluster.ask(1)
    wait_until(lambda: cluster.scored == {"tune-1"})
    assert cluster.log.count('"message_refused"') == len(forged)
    assert cluster.server.books().calls == 1
    assert worker.poll() is None
    wait_until(lambda: queue.llen(QUEUE) == queue.hlen("unacked") == 0)
    assert not (tmp_path / "exploded").exists()
    assert CANARY not in cluster.log
    whose = f"bursar:{{{cluster.record.id}}}:"
    new = {key for key in cluster.redis.keys("*") if key not in before}
    assert all(key.startswith((whose, "bursar:{ledger}:", "bursar:rate:")) for key in new), new
    assert [one.name for one in fleet.workers(cluster.redis)]


def test_what_no_coordinator_wrote_down_is_not_bought(cluster: Fleet) -> None:
    """Well-formed messages: about another study, trial, arm or example; of draws nobody asks for."""
    cluster.start(slots=2)
    good = {"study": cluster.record.id, "trial": 0, "arm": cluster.arm.key, "example": "tune-0"}
    good |= {"first_draw": 0, "draws": 1}
    elsewhere = "../../bursar:{ledger}:account:fleet"
    wrong = [
        {"study": "none-00000000"},
        {"study": elsewhere},
        {"study": f"{cluster.record.id}}}:sent"},
        {"study": "*"},
        {"trial": 7},
        {"trial": 10**12},
        {"arm": "0" * 16},
        {"example": "tune-999"},
        {"example": "../tune-0"},
        {"first_draw": 1_000_000},
        {"draws": 1000},
        {},
    ]
    for change in wrong:
        cluster.send({**good, **change})
    cluster.ask(1)
    wait_until(lambda: cluster.scored == {"tune-1"})
    wait_until(lambda: cluster.log.count('"message_refused"') == len(wrong))
    assert cluster.server.books().calls == 1
    assert cluster.ledger.balance(cluster.record.account).spent == (
        cluster.server.books().billed_nanodollars
    )
    assert not cluster.redis.keys(f"*{elsewhere}*:claim*")
    assert cluster.redis.hkeys(keys.attempts(cluster.record.id)) == [
        f"{cluster.arm.key}/tune-1/0+2"
    ]
