"""The stand-in as a process of its own: `python -m rehearsal`."""

from __future__ import annotations

import argparse
import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rehearsal.completion import Source
from rehearsal.endpoint import Latency
from rehearsal.problems import read_jsonl
from rehearsal.recorded import Recorded
from rehearsal.server import RehearsalServer
from rehearsal.surface import Surface
from rehearsal.synthetic import Synthetic

SEAL_KEY_VARIABLE = "BURSAR_SEAL_KEY"
API_KEY_VARIABLE = "REHEARSAL_API_KEY"


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; prints {"base_url": ...} once clients can connect."""
    options = _parser().parse_args(arguments)
    stopped_by = {signal.SIGTERM, signal.SIGINT}
    # Blocked before the server's thread exists, so that only this thread ever sees them.
    signal.pthread_sigmask(signal.SIG_BLOCK, stopped_by)
    with _server(options) as server:
        print(json.dumps({"base_url": server.base_url}), flush=True)  # noqa: T201
        signal.sigwait(stopped_by)


def _server(options: argparse.Namespace) -> RehearsalServer:
    source: Source = Synthetic(Surface(seed=options.surface_seed))
    if options.recorded is not None:
        source = Recorded(options.recorded)
    seal_key = os.environ.get(SEAL_KEY_VARIABLE)
    return RehearsalServer(
        problems=read_jsonl(options.problems),
        models=_read_json(options.prices),
        source=source,
        api_key=os.environ.get(API_KEY_VARIABLE),
        seal_key=None if seal_key is None else seal_key.encode(),
        latency=Latency(
            fixed_s=options.fixed_latency,
            per_token_s=options.token_latency,
            jitter=options.latency_jitter,
        ),
        faults=_read_json(options.faults),
        refusals=_read_json(options.refusals),
        limits=_read_json(options.limits),
        seed=options.seed,
        host=options.host,
        port=options.port,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m rehearsal",
        description="Serve OpenAI's API from recorded or synthetic completions, at no cost.",
        epilog=f"The environment may hold {API_KEY_VARIABLE} (the key that clients must send) and "
        f"{SEAL_KEY_VARIABLE} (the key that seals synthetic answers).",
    )
    add = parser.add_argument
    add("--problems", type=Path, required=True, help="JSONL of id, prompt, solution, entry_point")
    add("--prices", required=True, help='{"model": [input, output]} in USD per million, or a file')
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--recorded", type=Path, help="answer from this JSONL (.gz, .xz)")
    source.add_argument(
        "--synthetic", action="store_true", help="answer from the surface (default)"
    )
    add("--surface-seed", type=int, default=0, help="the seed of the synthetic surface")
    add("--seed", type=int, default=0, help="the seed of every draw and fault")
    add("--fixed-latency", type=float, default=0.0, metavar="S", help="seconds per call")
    add("--token-latency", type=float, default=0.0, metavar="S", help="seconds per token")
    add("--latency-jitter", type=float, default=0.0, metavar="SHARE", help="at most so much longer")
    add("--faults", default="[]", help='[{"kind": "429", "next": 3, ...}], or a file')
    add("--refusals", default="{}", help='{"model": ["temperature", ...]}, or a file')
    add("--limits", default="{}", help='{"model": [requests, tokens]} a minute, or a file')
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 is any free one")
    return parser


def _read_json(text_or_path: str) -> Any:
    """Read JSON from the command line itself, or from the file that it names."""
    is_json = text_or_path.lstrip().startswith(("{", "["))
    return json.loads(text_or_path if is_json else Path(text_or_path).read_text("utf-8"))


if __name__ == "__main__":
    main()
