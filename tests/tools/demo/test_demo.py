"""The demonstration runs to its end, with the model played, and leaves nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.demo import model
from tools.demo.__main__ import main
from tools.demo.scenes import line, sections

CHECKOUT = Path(__file__).resolve().parents[3]


def watch(folder: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.demo", *arguments],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "TMPDIR": str(folder)},
        input=typed,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )


def started_in(folder: Path) -> list[str]:
    """The processes whose command line or environment names ``folder``."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes() + (place / "environ").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in words and place.name != str(os.getpid()):
            found.append(words.replace(b"\0", b" ").decode(errors="replace")[:200])
    return found


def test_a_conversation_on_slack_is_shown_from_the_installation_to_a_new_token(tmp_path: Path) -> None:
    run = watch(tmp_path, "slack", "--played", "--stay", typed="hello?\n\n")
    assert run.returncode == 0, run.stdout + run.stderr
    shown = run.stdout
    for wanted in (
        "Slack is PLAYED",
        "The model is PLAYED too, as you wished",
        "The assistant is installed in Slack for Acme",
        "answers the challenge",
        "The capital of France is Paris.",
        "1 answer, as before",
        "[event.ics]",
        "part 3 of 3",
        "all 90 sections, each once, no code block torn",
        "Slack answered 429 to chat.postMessage",
        "1 call refused, 1 token issued",
        "Your turn",
        "Nothing of it is left",
    ):
        assert wanted in shown
    assert (list(tmp_path.iterdir()), started_in(tmp_path)) == ([], [])


def test_a_conversation_on_feishu_is_shown_with_an_entry_in_the_calendar(tmp_path: Path) -> None:
    run = watch(tmp_path, "feishu", "--played")
    assert run.returncode == 0, run.stdout + run.stderr
    for wanted in (
        "Feishu is PLAYED",
        "answers the challenge",
        "1 answer, as before",
        "周会, 2026-12-01, with ou_ada",
        "part 2 of 2",
        "Feishu answered 429",
        "1 call refused, 1 token issued",
    ):
        assert wanted in run.stdout
    assert (list(tmp_path.iterdir()), started_in(tmp_path)) == ([], [])


def test_a_platform_that_is_none_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["teams"], {}) == 2
    assert "make demo PLATFORM=slack" in capsys.readouterr().err


def test_the_handbook_is_longer_than_a_message_may_be_and_has_every_section() -> None:
    text = model.handbook()
    assert len(text.encode()) > 28_000
    assert sections([text]) == list(range(1, model.SECTIONS + 1))
    assert text.count("```") % 2 == 0


def test_a_line_holds_no_control_characters_and_ends() -> None:
    shown = line("assistant", "a\x1b[31mb\nc" + "x" * 500, 1.25)
    assert "\x1b" not in shown and "\n" not in shown
    assert len(shown) < 150 and shown.endswith("…   (1.2 s)")
