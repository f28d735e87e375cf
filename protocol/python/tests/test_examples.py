"""The programs of this package's page and of protocol/examples work as described."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import pytest
from daemon import REPOSITORY, Daemon

EXAMPLES = REPOSITORY / "protocol" / "examples"
PAGE = REPOSITORY / "protocol" / "python" / "README.md"


def run(program: str, *arguments: str) -> list[str]:
    """The lines that an example prints."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "protocol" / "python" / "src")}
    command = [sys.executable, str(EXAMPLES / program), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_twelve_lines(own_daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    program = blocks[0].replace("logq://127.0.0.1:5647", own_daemon.url)
    assert len([line for line in program.splitlines() if line]) == 12
    variables: dict[str, Any] = {}
    exec(program, variables)
    assert variables["result"].found.tolist() == [True, False]
    assert "['yesterday', 'help!']" in capsys.readouterr().out


def test_the_service_finds_what_the_trainer_stored(own_daemon: Daemon) -> None:
    run("trainer.py", own_daemon.socket_path)
    lines = run("service_async.py", own_daemon.url)
    assert len(lines) == 32
    for topic in range(5):
        assert lines[topic * 6] == f"topic-{topic}:"
        for line in lines[topic * 6 + 1 : topic * 6 + 6]:
            assert re.fullmatch(rf"  item-\d+ topic {topic} score -?[\d.]+ log q -[\d.]+", line)
    assert [int(item.partition("-")[2]) % 5 for item in lines[30].split()[2:]] == [2, 2, 2]
    assert lines[31] == "item-7000 found: False"


def test_log_q_more_than_doubles_the_recall(own_daemon: Daemon) -> None:
    negatives = "in-batch,mixed,hard" if os.environ.get("LOGQ_TEST_SCALE") == "full" else "hard"
    quick = ("--negatives", negatives, "--steps", "25", "--questions", "300")
    lines = run("trainer_numpy.py", own_daemon.url, *quick)
    ratios = [float(line.split()[0]) for line in lines if "times the recall" in line]
    assert len(ratios) == len(negatives.split(","))
    assert min(ratios) > 2
