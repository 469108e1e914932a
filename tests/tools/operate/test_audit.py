"""Where the records of a stack are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.local.layout import Layout
from tools.operate.audit import sources
from tools.stack.assistant import AssistantError


def test_the_folder_goes_before_the_logs_of_which_chains_may_have_lost_their_beginning(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with pytest.raises(AssistantError, match="make up STACK=trial"):
        sources(tmp_path / "audit", layout, " STACK=trial")
    layout.logs.mkdir()
    for name in ("worker", "gateway"):
        layout.log(name).write_text("")
    assert sources(tmp_path / "audit", layout, "") == ["--partial", str(layout.log("gateway")), str(layout.log("worker"))]
    (tmp_path / "audit").mkdir()
    assert sources(tmp_path / "audit", layout, "") == ["--directory", str(tmp_path / "audit")]
