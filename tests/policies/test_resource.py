"""The engine's encoding, read into plain values: marks kept, numbers whole, nothing raised."""

from __future__ import annotations

import contextlib

import pytest
from google.protobuf.struct_pb2 import Struct
from hypothesis import given
from hypothesis import strategies as st

from policies.resource import Malformed, NotKnown, Resource, View, redact
from policies.values import (
    ARCHIVE,
    ASSET,
    OUTPUT,
    REFERENCE,
    SECRET,
    SIGNATURE,
    UNKNOWN,
    UNKNOWN_SENTINELS,
    Asset,
    Secret,
    Strange,
    decode,
    describe,
)

SIGNATURES = [SECRET, ASSET, ARCHIVE, OUTPUT, REFERENCE]


def test_plain_values_become_plain_values_and_443_is_an_integer(encode) -> None:
    properties = {"port": 443, "share": 0.5, "text": "a", "flag": True, "none": None, "list": [1, {"x": "y"}]}
    decoded = decode(encode(properties))
    assert decoded == properties
    assert isinstance(decoded["port"], int)
    assert isinstance(decoded["flag"], bool)


@pytest.mark.parametrize("sentinel", sorted(UNKNOWN_SENTINELS))
def test_every_unknown_sentinel_is_unknown_at_any_depth(encode, sentinel) -> None:
    assert decode(encode({"a": [{"b": sentinel}]})) == {"a": [{"b": UNKNOWN}]}


def test_the_sentinels_are_those_of_the_sdk() -> None:
    from pulumi_policy import proxy

    assert {value for name, value in vars(proxy).items() if name.startswith("UNKNOWN_")} == UNKNOWN_SENTINELS


def test_secret_marks_are_kept_and_the_text_of_a_secret_never_shows_its_value(encode) -> None:
    decoded = decode(encode({"a": {SIGNATURE: SECRET, "value": {"b": "hunter2"}}}))
    assert decoded["a"] == Secret({"b": "hunter2"})
    assert "hunter2" not in repr(decoded)
    assert "hunter2" not in str(decoded["a"])


def test_an_output_value_is_read_with_its_mark_and_its_absence(encode) -> None:
    decoded = decode(
        encode(
            {
                "marked": {SIGNATURE: OUTPUT, "value": "x", "secret": True},
                "open": {SIGNATURE: OUTPUT, "value": "x", "dependencies": ["urn"]},
                "later": {SIGNATURE: OUTPUT, "secret": True},
            }
        )
    )
    assert decoded == {"marked": Secret("x"), "open": "x", "later": Secret(UNKNOWN)}


def test_assets_archives_and_references_are_read(encode) -> None:
    decoded = decode(
        encode(
            {
                "text": {SIGNATURE: ASSET, "text": "content"},
                "file": {SIGNATURE: ASSET, "path": "a/b"},
                "archive": {SIGNATURE: ARCHIVE, "assets": {"inner": {SIGNATURE: ASSET, "text": "deep"}}},
                "resource": {SIGNATURE: REFERENCE, "urn": "urn:pulumi:…", "id": "1"},
            }
        )
    )
    assert decoded["text"] == Asset(text="content")
    assert decoded["file"] == Asset("a/b")
    assert decoded["resource"] == "urn:pulumi:…"
    texts = [leaf.value for leaf in Resource("", "", "", decoded).leaves()]
    assert texts == ["content", "deep", "urn:pulumi:…"] or sorted(map(str, texts)) == ["content", "deep", "urn:pulumi:…"]


def test_the_engines_own_properties_are_left_out(encode) -> None:
    assert decode(encode({"__provider": "gASV…", "__defaults": [], "kept": 1})) == {"kept": 1}


@pytest.mark.parametrize(
    "value", [{SIGNATURE: SECRET}, {SIGNATURE: "of tomorrow", "value": "x"}, {SIGNATURE: REFERENCE}, {SIGNATURE: 7}]
)
def test_what_the_protocol_does_not_foresee_is_strange_not_an_exception(encode, value) -> None:
    assert isinstance(decode(encode({"a": value}))["a"], Strange)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8) | st.sampled_from([*SIGNATURES, *UNKNOWN_SENTINELS]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([SIGNATURE, "value", "urn", "text", "path", "assets", "secret", "a"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=4), json_values, max_size=4))
def test_nothing_that_a_struct_can_hold_raises(properties) -> None:
    struct = Struct()
    struct.update(properties)
    resource = Resource("", "", "", decode(struct))
    list(resource.leaves())
    view = View(resource.properties)
    for name in view.names():
        describe(view.raw(name))
        for read in (view.text, view.integer, view.number, view.boolean, view.mapping, view.texts):
            with contextlib.suppress(NotKnown, Malformed):
                read(name)


def test_a_view_reads_through_marks_and_names_the_path_of_what_it_cannot_read() -> None:
    view = View({"a": Secret({"b": "text", "n": "12", "u": UNKNOWN, "l": [Secret("x"), UNKNOWN]})}).mapping("a")
    assert view is not None
    assert (view.text("b"), view.integer("n"), view.text("missing")) == ("text", 12, None)
    with pytest.raises(NotKnown) as unknown:
        view.text("u")
    assert unknown.value.path == "a.u"
    with pytest.raises(NotKnown) as element:
        view.texts("l")
    assert element.value.path == "a.l[1]"
    with pytest.raises(Malformed) as malformed:
        view.integer("b")
    assert (malformed.value.path, malformed.value.expected, malformed.value.came) == ("a.b", "a whole number", "a text")


def test_a_boolean_is_no_number() -> None:
    with pytest.raises(Malformed):
        View({"a": True}).integer("a")
    with pytest.raises(Malformed):
        View({"a": True}).number("a")


def test_redaction_replaces_the_longest_secret_first() -> None:
    assert redact("see hunter2-and-more", ["hunter2", "hunter2-and-more", "no"]) == "see [secret]"
