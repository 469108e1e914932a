"""The emulated calendars: the application's own, entries under keys, guests."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

from feishu.refusal import Refused

PRIMARY = "feishu.cn_bot@group.calendar.feishu.cn"


class Calendars:
    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._entries: dict[str, dict[str, Any]] = {}
        self._keys: dict[tuple[str, str], str] = {}
        self.repeated: list[dict[str, Any]] = []
        self.strangers: set[str] = set()  # people of another organisation

    @property
    def entries(self) -> list[dict[str, Any]]:
        """Those that stand."""
        return [entry for entry in self._entries.values() if not entry["deleted"]]

    def handle(self, method: str, path: list[str], query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        match method, path:
            case "POST", ["primary"]:
                calendar = {"calendar_id": PRIMARY, "summary": "Assistant", "type": "primary", "role": "owner"}
                return {"calendars": [{"calendar": calendar, "user_id": "ou_bot"}]}
            case "POST", [calendar, "events"]:
                return {"event": self._create(calendar, query, body)}
            case "POST", [calendar, "events", number, "attendees"]:
                return self._invite(self._entry(calendar, number), query, body)
            case "DELETE", [calendar, "events", number]:
                return self._delete(self._entry(calendar, number))
        raise Refused(190001, "unexpected head in request", 400)

    def _create(self, calendar: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if calendar != PRIMARY:
            raise Refused(191000, "calendar not found", 404)
        if not all(_valid_time(body.get(name)) for name in ("start_time", "end_time")):
            raise Refused(190002, "invalid parameters in request")
        key = (calendar, query.get("idempotency_key", ""))
        if key[1] and key in self._keys:
            self.repeated.append({"idempotency_key": key[1]})
            self._say("calendar  repeated: no second effect")
            return self._entries[self._keys[key]]["shown"]
        number = f"00592a0e-7edf-4678-bc9d-{len(self._entries) + 1:012d}_0"
        shown = {
            **body,
            "event_id": number,
            "organizer_calendar_id": calendar,
            "app_link": f"https://applink.feishu.cn/{number}",
        }
        self._entries[number] = {"event_id": number, **body, "attendees": [], "deleted": False, "shown": shown}
        self._keys[key] = number
        start = body["start_time"].get("date") or body["start_time"]["timestamp"]
        self._say(f"calendar  created {body.get('summary')} on {start}")
        return shown

    def _invite(self, entry: dict[str, Any], query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if query.get("user_id_type") != "open_id":
            raise Refused(190002, "invalid parameters in request")
        people = [one["user_id"] for one in body["attendees"] if one.get("type") == "user"]
        if strangers := self.strangers & set(people):
            raise Refused(195100, f"user is dismiss or not exist in the tenant: {len(strangers)}", 404)
        entry["attendees"] += [one for one in people if one not in entry["attendees"]]
        self._say(f"calendar  invited {', '.join(people)} to {entry.get('summary')}")
        return {"attendees": [{"type": "user", "user_id": one} for one in people]}

    def _delete(self, entry: dict[str, Any]) -> dict[str, Any]:
        entry["deleted"] = True
        self._say(f"calendar  deleted {entry.get('summary')}")
        return {}

    def _entry(self, calendar: str, number: str) -> dict[str, Any]:
        entry = self._entries.get(number)
        if calendar != PRIMARY or entry is None:
            raise Refused(193001, "event not found", 404)
        if entry["deleted"]:
            raise Refused(193003, "event is deleted", 403)
        return entry


def _valid_time(value: Any) -> bool:
    if not isinstance(value, dict) or ("date" in value) == ("timestamp" in value):
        return False
    if "timestamp" in value:
        return isinstance(value["timestamp"], str) and value["timestamp"].isdecimal() and len(value["timestamp"]) == 10
    try:
        date.fromisoformat(value["date"])
    except (TypeError, ValueError):
        return False
    return True
