from __future__ import annotations

import re

from app.pipeline.idempotency import idempotency_key


def test_keys_are_equal_for_the_same_step_and_differ_for_any_other() -> None:
    pairs = [("a:b:1", "sent"), ("a:b:1", "task"), ("a:b:2", "sent"), ("a:b:1:sent", ""), ("a:b", "1:sent"), ("a:b:1s", "ent")]
    assert len({idempotency_key(*pair) for pair in pairs}) == len(pairs)
    assert idempotency_key("a:b:1", "sent") == idempotency_key("a:b:1", "sent")


def test_keys_fit_headers_whatever_an_id_holds() -> None:
    for event in ("generic:t:日程\r\nX: y", "generic:t:" + "x" * 500):
        assert re.fullmatch(r"[a-z0-9_]{37}", idempotency_key(event, "sent"))


def test_keys_stay_what_they_are_across_versions() -> None:
    """A worker of the next version must not repeat what one of this version did."""
    assert idempotency_key("generic:default:1", "sent") == "evt_b21b251a9213806978d711c1e5ee29f9a"
