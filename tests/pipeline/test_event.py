"""What two versions of the application say to one another through the queue."""

from __future__ import annotations

import json
from typing import Any

from app.pipeline.event import Event


def test_an_event_survives_being_written_and_read(make_event: Any) -> None:
    event = make_event(text="创建", reply_to={"thread": "1.2"})
    assert Event.from_json(event.to_json()) == event


def test_a_field_of_a_newer_version_is_left_out(make_event: Any) -> None:
    event = make_event()
    assert Event.from_json(json.dumps({**json.loads(event.to_json()), "new_in_2027": 1})) == event
