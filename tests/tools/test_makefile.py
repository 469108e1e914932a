"""What a person types after ``make`` reaches the program as it was typed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "text", ["it's $HOME", 'a "quoted" word', "`touch hit`", "$(shell touch hit)", "-你好", "a; touch hit", "x $$ y"]
)
def test_a_sentence_stays_text(tmp_path: Path, text: str) -> None:
    makefile = (CHECKOUT / "Makefile").read_text().replace(": environment ##", ": ##")
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nfor word; do last=$word; done\nprintf "%s" "$last"\n')
    python.chmod(0o755)
    (tmp_path / "Makefile").write_text(makefile)
    done = subprocess.run(["make", "-s", "ask", f"Q={text}"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, text), done.stderr
    assert not (tmp_path / "hit").exists()
