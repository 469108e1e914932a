"""The drawing has a card for each component, right of all that it needs."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from tools.rehearsal import graph

STACK = "urn:pulumi:prod::assistant::pulumi:pulumi:Stack::assistant-prod"


def component(name: str, parent: str = STACK) -> dict[str, Any]:
    return {"urn": f"urn:{name}::{name}", "type": f"assistant:aws:{name}", "parent": parent}


def custom(name: str, token: str, parent: str, *needs: str) -> dict[str, Any]:
    return {"urn": f"urn:{name}::{name}", "type": token, "custom": True, "parent": parent, "dependencies": list(needs)}


def exported() -> dict[str, Any]:
    resources = [
        {"urn": STACK, "type": "pulumi:pulumi:Stack"},
        component("assistant"),
        component("network", "urn:assistant::assistant"),
        component("queue", "urn:assistant::assistant"),
        {**custom("provider", "pulumi:providers:aws", STACK)},
        custom("vpc", "aws:ec2/vpc:Vpc", "urn:network::network"),
        custom("a", "aws:ec2/subnet:Subnet", "urn:network::network", "urn:vpc::vpc"),
        custom("b", "aws:ec2/subnet:Subnet", "urn:network::network", "urn:vpc::vpc"),
        custom("redis", "aws:memorydb/cluster:Cluster", "urn:queue::queue", "urn:a::a"),
    ]
    return {"deployment": {"resources": resources}}


def test_a_card_has_what_is_below_a_component_and_needs_what_that_needs() -> None:
    found = {card.title: card for card in graph.cards(exported())}
    assert found["network"].lines == ["2 × ec2 Subnet", "ec2 Vpc"]
    assert found["queue"].needs == {"network"}
    assert found.keys() == {"network", "queue"}


def test_what_is_needed_stands_left_of_what_needs_it_even_in_a_circle() -> None:
    assert [[card.title for card in column] for column in graph.columns(graph.cards(exported()))] == [["network"], ["queue"]]
    circle = [graph.Card(key="a", title="a", group="", needs={"b"}), graph.Card(key="b", title="b", group="", needs={"a"})]
    assert sum(len(column) for column in graph.columns(circle)) == 2


def test_the_drawing_is_well_formed_and_escapes_what_it_is_given() -> None:
    document = exported()
    document["deployment"]["resources"].append(custom("x", "aws:ec2/eip:Eip", "urn:assistant::assistant"))
    document["deployment"]["resources"][2]["urn"] = "urn:network::net<work>"
    for resource in document["deployment"]["resources"]:
        if resource.get("parent") == "urn:network::network":
            resource["parent"] = "urn:network::net<work>"
    root = ElementTree.fromstring(graph.drawing(document))  # noqa: S314 - our own
    assert "net<work>" in {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert len(list(root.iter("{http://www.w3.org/2000/svg}path"))) == 1
