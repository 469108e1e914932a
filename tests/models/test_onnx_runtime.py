from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import app

SOURCE = Path(str(app.__file__)).parent


@pytest.mark.parametrize("module", ["app.inference.runner", "app.models.convert"])
def test_the_runtime_identifies_nobody_and_keeps_nothing_to_send(module: str, tmp_path: Path) -> None:
    """Left to itself it writes a device identifier and a queue of events into the home directory as soon as it is loaded."""
    # Neither CI nor a test runner may be in the environment: the runtime is silent there by itself.
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    code = f"import {module}, sys; assert 'onnxruntime' in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.iterdir()) == []


def test_nothing_else_loads_it() -> None:
    loaders = {
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if re.search(r"^\s*(import|from) onnxruntime", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert loaders == {"models/onnx_runtime.py"}
