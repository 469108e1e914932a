"""Tables of the bundle: one form, from which CSV for spreadsheets, JSON for programs and HTML for people are written."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# A spreadsheet takes a cell that begins so for a formula (OWASP, "CSV Injection"), and names come from whoever named something.
FORMULA: Final = re.compile(r"[\s']*[=+\-@\t\r]")
NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Table:
    """``name`` is the file's, ``title`` and ``note`` are for people; ``empty`` says what it means that there is no row."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""
    empty: str = "None."

    def objects(self) -> list[Mapping[str, str]]:
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]

    def csv(self) -> str:
        """As RFC 4180 has it, with cells that a spreadsheet would execute made text."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(self.columns)
        writer.writerows([_inert(cell) for cell in row] for row in self.rows)
        return text.getvalue()


def _inert(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) and not NUMBER.fullmatch(cell) else cell
