"""A kubectl on PATH that answers from a folder: one file a command line, and a journal of what it was asked."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """#!{python}
import json, pathlib, sys
folder = pathlib.Path({folder!r})
arguments = [it for it in sys.argv[1:] if not it.startswith(("--kubeconfig", "--cache-dir", "--request-timeout"))]
given = next(it.split("=", 1)[1] for it in sys.argv if it.startswith("--kubeconfig="))
with (folder / "journal").open("a") as journal:
    file = pathlib.Path(given)
    journal.write(json.dumps([arguments, file.read_text(), oct(file.stat().st_mode & 0o777)]) + "\\n")
for start, answer in json.loads((folder / "answers").read_text()):
    if arguments[: len(start)] == start:
        if "error" in answer:
            sys.exit(answer["error"])
        print(answer["text"] if "text" in answer else json.dumps(answer))
        sys.exit(0)
if arguments[0] == "get" and arguments[2:3] and arguments[2].startswith("-"):  # a list, and not one object by its name
    print(json.dumps({{"items": []}}))
"""


class FakeKubectl:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        program = folder / "kubectl"
        program.write_text(SCRIPT.format(python=sys.executable, folder=str(folder)))
        program.chmod(0o755)
        self.answer({})

    def answer(self, answers: dict[str, Any]) -> None:
        """By the first words of a command line; the longest that fits is asked first."""
        ordered = sorted(answers.items(), key=lambda item: -len(item[0].split()))
        (self.folder / "answers").write_text(json.dumps([[words.split(), answer] for words, answer in ordered]))

    @property
    def journal(self) -> list[tuple[list[str], str, str]]:
        file = self.folder / "journal"
        return [tuple(json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []

    def asked(self, *words: str) -> list[list[str]]:
        return [arguments for arguments, *_ in self.journal if arguments[: len(words)] == list(words)]


def put_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKubectl:
    folder = tmp_path / "fake-kubectl"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return FakeKubectl(folder)
