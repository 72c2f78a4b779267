"""The stand-in as a process of its own: it says where it is, answers, and ends when told."""

import hashlib
import hmac
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from openai import OpenAI

from .conftest import PROBLEMS

STOPS_WITHIN_S = 20


def run(tmp_path: Path, *arguments: str) -> subprocess.Popen[str]:
    problems = tmp_path / "problems.jsonl"
    problems.write_text("".join(json.dumps(problem) + "\n" for problem in PROBLEMS))
    command = [sys.executable, "-m", "rehearsal", "--problems", str(problems), *arguments]
    environment = os.environ | {"BURSAR_SEAL_KEY": "seal", "REHEARSAL_API_KEY": "key"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_it_prints_its_address_answers_and_ends_on_sigterm(tmp_path: Path) -> None:
    prices = tmp_path / "prices.json"
    prices.write_text('{"small": [0.15, 0.6]}')
    with run(tmp_path, "--synthetic", "--prices", str(prices), "--seed", "3") as process:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        with OpenAI(base_url=base_url, api_key="key", max_retries=0) as client:
            prompt = PROBLEMS[1]["prompt"]
            response = client.completions.create(model="small", prompt=prompt, max_tokens=50)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOPS_WITHIN_S) == 0
    seal = hmac.new(b"seal", response.choices[0].text.encode(), hashlib.sha256).hexdigest()
    assert response.system_fingerprint == f"synthetic-{seal}"


def test_it_answers_from_a_recorded_file(tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.jsonl"
    row = {"task_id": "add-1", "model": "small", "temperature": 0.8, "text": "    return x + 1\n"}
    recorded.write_text(json.dumps(row) + "\n")
    prices = '{"small": ["0.15", "0.60"]}'
    with run(tmp_path, "--recorded", str(recorded), "--prices", prices) as process:
        assert process.stdout is not None
        base_url = json.loads(process.stdout.readline())["base_url"]
        with OpenAI(base_url=base_url, api_key="key", max_retries=0) as client:
            prompt = PROBLEMS[1]["prompt"]
            response = client.completions.create(model="small", prompt=prompt, temperature=0.8)
        process.send_signal(signal.SIGTERM)
        assert process.wait(STOPS_WITHIN_S) == 0
    assert response.choices[0].text == "    return x + 1\n"
    assert (response.system_fingerprint or "").startswith("recorded-")
