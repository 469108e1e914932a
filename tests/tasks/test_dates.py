from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from app.tasks.dates import parse_date, today


@pytest.mark.parametrize("text", ["2026-12-01", "2028-02-29", "0001-01-01", "9999-12-31"])
def test_an_iso_date_that_exists_is_read(text: str) -> None:
    found = parse_date(text)
    assert found is not None
    assert found.isoformat() == text


@pytest.mark.parametrize(
    "text",
    ["2026-02-30", "2026-13-01", "2027-02-29", "0000-01-01", "20261201", "2026-W01-1", "2026-1-1", "２０２６-12-01", ""],
)
def test_anything_else_is_none(text: str) -> None:
    assert parse_date(text) is None


def test_today_is_the_day_in_utc() -> None:
    shanghai = timezone(timedelta(hours=8))
    assert today(datetime(2026, 12, 1, 7, 59, tzinfo=shanghai)) == date(2026, 11, 30)
    assert today(datetime(2026, 11, 30, 23, 59, tzinfo=UTC)) == date(2026, 11, 30)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        today(datetime(2026, 11, 30))  # noqa: DTZ001
