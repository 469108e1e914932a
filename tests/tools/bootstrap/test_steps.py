"""Steps run as soon as they can, all at once; a failure ends the others and is shown with its last words."""

import io
import os
import signal
import subprocess
import sys
import time

import pytest

from tools.bootstrap.display import Display, cut, step_line
from tools.bootstrap.steps import Step, run_all, run_command
from tools.pulumi.environment import CHECKOUT

INTERVAL = 0.01


def shell(script):
    """A step's action that runs `script`."""
    return lambda step: run_command(step, ["sh", "-c", script], CHECKOUT, os.environ)


def run(tmp_path, *steps):
    return run_all(steps, tmp_path / "logs", lambda: None, INTERVAL)


def test_a_step_waits_for_those_before_it(tmp_path):
    steps = [
        Step(name="second", run=shell(f"cat '{tmp_path}/made'"), after=("first",)),
        Step(name="first", run=shell(f"sleep 0.1; echo content > '{tmp_path}/made'")),
    ]
    assert run(tmp_path, *steps)
    assert (tmp_path / "logs/second.log").read_text() == "content\n"


def test_steps_that_do_not_wait_for_each_other_run_at_once(tmp_path):
    """Each ends only when it sees the other begun."""
    meet = "touch '{0}/{1}'; for i in $(seq 200); do test -e '{0}/{2}' && exit 0; sleep 0.02; done; exit 1"
    left = Step(name="left", run=shell(meet.format(tmp_path, "l", "r")))
    right = Step(name="right", run=shell(meet.format(tmp_path, "r", "l")))
    assert run(tmp_path, left, right)


def test_a_failure_ends_the_others_and_keeps_its_last_words(tmp_path):
    bad = Step(name="bad", run=shell("echo fine; echo 'the disk is full' >&2; exit 3"))
    long = Step(name="long", run=shell("sleep 60"))
    never = Step(name="never", run=shell("true"), after=("bad",))
    start = time.monotonic()
    assert not run(tmp_path, bad, long, never)
    assert time.monotonic() - start < 10
    assert (bad.state, long.state, never.state) == ("failed", "stopped", "waiting")
    assert bad.problem.splitlines()[-1] == "the disk is full"
    assert "the disk is full" in bad.log.read_text()


def test_a_step_that_writes_nothing_still_tells_its_exit_code(tmp_path):
    bad = Step(name="bad", run=shell("exit 7"))
    assert not run(tmp_path, bad)
    assert bad.problem == "exit code 7"


def test_a_mistake_in_a_step_is_a_failure_and_no_hang(tmp_path):
    def broken(step):
        raise KeyError("what")

    bad = Step(name="bad", run=broken)
    assert not run(tmp_path, bad)
    assert bad.problem == "KeyError: 'what'"


def test_the_last_line_of_standard_output_is_the_result(tmp_path):
    results = []
    command = ["sh", "-c", "echo a; echo b; echo c >&2"]
    step = Step(name="s", run=lambda step: results.append(run_command(step, command, tmp_path, os.environ)))
    assert run(tmp_path, step)
    assert results == ["b"]


def test_a_command_that_is_not_there_fails_its_step(tmp_path):
    step = Step(name="s", run=lambda s: run_command(s, ["/nonexistent"], tmp_path, os.environ))
    assert not run(tmp_path, step)
    assert "/nonexistent" in step.problem


def test_progress_is_read_from_lines_with_a_percentage():
    step = Step(name="s", run=lambda step: None)
    step.saw("\x1b[2Kpackage 3 of 4: 75 %")
    assert (step.percent, step.line) == (75, "package 3 of 4: 75 %")
    step.saw("linking")
    assert (step.percent, step.line) == (None, "linking")
    step.saw("   ")
    assert step.line == "linking"


def test_an_interrupt_ends_all_commands(tmp_path):
    script = (
        "import os, sys\nfrom pathlib import Path\nfrom tools.bootstrap.steps import *\n"
        "go = lambda step: run_command(step, ['sh', '-c', 'echo $$ > pid; sleep 60'], Path(sys.argv[1]), os.environ)\n"
        "run_all([Step(name='s', run=go)], Path(sys.argv[1]) / 'logs', lambda: None, 0.01)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path)], cwd=CHECKOUT, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 10
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=10)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_without_a_terminal_each_change_is_a_line(tmp_path):
    screen = io.StringIO()
    steps = [Step(name="one", run=shell("true")), Step(name="two", run=shell("true"), after=("one",))]
    display = Display(steps, screen)
    assert run_all(steps, tmp_path, display.watch, INTERVAL)
    assert "\x1b" not in screen.getvalue()
    done = [line for line in screen.getvalue().splitlines() if line.startswith("✓")]
    assert [line.split()[1] for line in done] == ["one", "two"]


def test_a_screen_without_unicode_gets_plain_marks():
    screen = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    step = Step(name="one", run=lambda step: None, state="done")
    Display([step], screen).watch()
    assert screen.buffer.getvalue().startswith(b"+ one")


def test_a_line_never_wraps():
    step = Step(name="model", run=lambda step: None, state="running", line="模型" * 50)
    line = step_line(step, 5.0, 60, {"running": "…"})
    assert len(line) < 60
    assert cut("模型a", 4) == "模型"
    assert cut("模型a", 3) == "模"
