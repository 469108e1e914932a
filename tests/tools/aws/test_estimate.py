"""The bill as a table, before anything is made."""

from __future__ import annotations

from aws_rendering import aws_settings

from infra import costs
from tools.aws.estimate import table


def test_the_dearest_line_stands_first_and_the_sums_last():
    settings = aws_settings("serverless")
    found = costs.estimate(settings, "serverless")
    heading, first, *_ = lines = table(found).splitlines()
    assert heading.startswith("serverless, US dollars a month")
    dearest = max(found.lines, key=lambda line: line.monthly)
    assert dearest.what in first
    assert dearest.why in first
    assert any(f"{found.idle:.2f}" in line and f"{found.maximum:.2f}" in line and "altogether" in line for line in lines)
    assert lines[-1].strip() == found.notes[-1]
