"""Keeps docs/performance.md: one section a benchmark, replaced whole when it runs again, with machine and date."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from pathlib import Path

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
HEAD = """# Performance

Measured, not promised. Each section is written by the command it names, with the machine and the date; where things are
compared, medians over runs that alternate between them. Machines differ: measure on yours before you quote.
"""


def machine() -> str:
    """Processor, cores and memory, in a few words."""
    processor = platform.processor() or platform.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"^model name\s*:\s*(.+)$", information.read_text(), re.MULTILINE)
        processor = found.group(1) if found else processor
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}"


def record(title: str, command: str, body: str) -> None:
    """Put ``body`` (Markdown) under ``## title``, in place of what stood there."""
    section = f"## {title}\n\n`{command}` — {machine()}; {datetime.now(UTC).date()}\n\n{body.strip()}\n"
    text = DOCUMENT.read_text(encoding="utf-8") if DOCUMENT.exists() else HEAD
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.MULTILINE | re.DOTALL)
    text = pattern.sub(lambda _: f"{section}\n", text) if pattern.search(text) else f"{text.rstrip()}\n\n{section}"
    DOCUMENT.write_text(text.rstrip() + "\n", encoding="utf-8")
    print(f"\n{section}")
