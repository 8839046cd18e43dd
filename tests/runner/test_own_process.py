"""A process of its own returns what was asked of it, or it did not finish: nothing between."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from prunebench.errors import Passing, PrunebenchError
from prunebench.runner.own_process import Unfinished, apart

CALLS = "tests.runner.called_apart"


def test_what_comes_back_is_what_was_returned(capfd: pytest.CaptureFixture[str]) -> None:
    value = {"a": [1, 0.1, None, "é\u2028"], "b": float("inf")}
    assert apart(f"{CALLS}:doubled", {"a": 1.5}) == [{"a": 1.5}] * 2
    said = capfd.readouterr()
    assert said.out == ""  # what a command prints is its own
    assert "said on standard output" in said.err
    with pytest.raises(ValueError, match="JSON"):
        apart(f"{CALLS}:doubled", value)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("leaves", "with status 0"), ("leaves_at_once", "with status 0"),
        ("is_killed", "by SIGKILL"), ("has_a_bug", "with status 1"),
    ],
)  # fmt: skip
def test_an_end_that_is_none_is_told(name: str, how: str) -> None:
    with pytest.raises(Unfinished, match=f"ended before it was done, {how}$"):
        apart(f"{CALLS}:{name}")


def test_a_refusal_is_passed_on() -> None:
    with pytest.raises(PrunebenchError, match=r"^no such thing$") as caught:
        apart(f"{CALLS}:refuses")
    assert not isinstance(caught.value, Unfinished | Passing)
    with pytest.raises(Passing, match=r"^no room$"):
        apart(f"{CALLS}:lacks_room")


def test_it_does_not_outlive_the_process_that_waits_for_it(tmp_path: Path) -> None:
    """Else it would go on to write while the same command starts again."""
    beats = tmp_path / "beats"
    (tmp_path / "beating.py").write_text(
        "import pathlib, time\ndef beat(path):\n    for n in range(600):\n"
        "        pathlib.Path(path).write_text(str(n))\n        time.sleep(0.02)\n"
    )
    code = (
        "from prunebench.runner.own_process import apart; import sys;"
        " sys.path.insert(0, sys.argv[1]); apart('beating:beat', sys.argv[2])"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(beats)])
    try:
        until = time.monotonic() + 60
        while not beats.exists():
            assert parent.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
    finally:
        parent.kill()
        parent.wait()
    time.sleep(0.5)
    last = beats.read_text()
    time.sleep(0.5)
    assert beats.read_text() == last


def test_an_answer_that_is_none_is_no_answer(tmp_path: Path) -> None:
    (tmp_path / "forged.py").write_text(
        "import os, pathlib, sys\ndef forge(text):\n"
        "    pathlib.Path(sys.argv[1], 'answer.json').write_text(text)\n    os._exit(0)\n"
    )
    code = (
        "from prunebench.runner.own_process import Unfinished, apart; import sys;"
        " sys.path.insert(0, sys.argv[1])\n"
        "try:\n    apart('forged:forge', sys.argv[2])\nexcept Unfinished as no:\n    print(no)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), json.dumps(["passed"])],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "its process left no answer, with status 0\n"
