"""Comments and issues through a `gh` that writes down what it is asked, and answers with what is there."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from reviews_at_hand import drifted

from tools.review.drift import report
from tools.review.posting import AUTHOR, main

REVIEW = "<!-- assistant-review: prod -->\n\nnew text with $HOME and `backticks`\n"
Told = Callable[[], list[tuple[str, str, dict[str, Any]]]]

GH = """#!{python}
import json, pathlib, sys
here = pathlib.Path(__file__).parent
words = sys.argv[1:]
assert words[0] == "api"
if "--method" not in words:
    print((here / "there.json").read_text())
else:
    method, path = words[words.index("--method") + 1], words[-1]
    with (here / "asked.jsonl").open("a") as file:
        file.write(json.dumps([method, path, json.loads(sys.stdin.read())]) + chr(10))
"""


@pytest.fixture
def gh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Told]:
    """``gh(entry, …)``: what is there already. Gives a function for what was then asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "gh").write_text(GH.format(python=sys.executable))
    (folder / "gh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def there(*entries: dict[str, Any]) -> Told:
        (folder / "there.json").write_text(json.dumps([list(entries)]))
        file = folder / "asked.jsonl"
        return lambda: [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []

    return there


@pytest.fixture
def post(tmp_path: Path) -> Callable[..., int]:
    def run(kind: str, text: str, **more: str) -> int:
        folder = tmp_path / "reports" / "review-prod"
        folder.mkdir(parents=True)
        (folder / "review.md").write_text(text)
        return main([kind, str(folder.parent)], {"GITHUB_REPOSITORY": "acme/assistant", "PULL_REQUEST": "7", **more})

    return run


def test_the_first_review_of_a_request_is_a_new_comment(gh, post) -> None:
    told = gh({"id": 1, "user": {"login": "somebody"}, "body": "hello"})
    assert post("comment", REVIEW) == 0
    assert told() == [("POST", "repos/acme/assistant/issues/7/comments", {"body": REVIEW})]


def test_the_next_one_renews_it(gh, post) -> None:
    told = gh({"id": 42, "user": {"login": AUTHOR}, "body": "<!-- assistant-review: prod -->\n\nold"})
    assert post("comment", REVIEW) == 0
    assert told() == [("PATCH", "repos/acme/assistant/issues/comments/42", {"body": REVIEW})]


@pytest.mark.parametrize(
    "entry",
    [
        {"id": 42, "user": {"login": "somebody"}, "body": "<!-- assistant-review: prod -->\n\nnot ours"},
        {"id": 42, "user": {"login": AUTHOR}, "body": "<!-- assistant-review: staging -->\n\nanother stack's"},
    ],
)
def test_nobody_elses_comment_and_no_other_stacks_is_written_over(gh, post, entry) -> None:
    told = gh(entry)
    assert post("comment", REVIEW) == 0
    assert [method for method, _path, _body in told()] == ["POST"]


def test_what_is_no_report_is_not_posted(gh, post, capsys) -> None:
    told = gh()
    assert post("comment", "anything, @everyone") == 1
    assert told() == []
    assert "not posted" in capsys.readouterr().err


def test_a_number_of_a_request_is_a_number(gh, post, capsys) -> None:
    told = gh()
    assert post("comment", REVIEW, PULL_REQUEST="7/../../issues") == 1
    assert told() == []
    assert "PULL_REQUEST" in capsys.readouterr().err


def test_drift_opens_an_issue_once_and_closes_it_when_it_is_gone(gh, post, tmp_path) -> None:
    told = gh()
    assert post("issue", report("prod", drifted())) == 0
    ((method, path, body),) = told()
    assert (method, path, body["title"]) == ("POST", "repos/acme/assistant/issues", "prod is not as its state says")
    told = gh({"number": 9, "user": {"login": AUTHOR}, "body": body["body"]})
    file = tmp_path / "reports" / "review-prod" / "review.md"
    file.write_text(report("prod", ()))
    assert main(["issue", str(file.parent)], {"GITHUB_REPOSITORY": "acme/assistant"}) == 0
    assert told()[-1] == ("PATCH", "repos/acme/assistant/issues/9", {"state": "closed"})


def test_without_gh_it_says_what_is_missing(post, monkeypatch, capsys) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert post("comment", REVIEW) == 1
    assert "cli.github.com" in capsys.readouterr().err
