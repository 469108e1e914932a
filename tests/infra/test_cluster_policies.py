"""The target cluster holds to the rules on pods, whose own tests know no target: judged as it is rendered, with no cluster."""

from __future__ import annotations

from typing import Any

import pytest
from rendering import registered, settings_of

from policies.evaluation import RuleBook, evaluate
from policies.resource import Resource, Stack
from policies.rule import Outcome
from policies.rules import RULES
from policies.waivers import Register

ON_PODS = frozenset({"R22", "R23", "R27", "R28", "R29", "R30", "R31", "R32", "R37", "R53", "R73"})
EVERYTHING = {
    "autoscaling": {"keda": True},
    "monitoring": {"prometheusOperator": True},
    "exposure": {"kind": "ingress", "host": "assistant.example.com"},
}


@pytest.mark.parametrize("config", [{}, EVERYTHING], ids=["as it comes", "everything on"])
async def test_a_cluster_keeps_the_rules_on_pods(config: dict[str, Any]) -> None:
    rendered = await registered(settings_of(config, published=False))
    resources = [
        Resource(f"urn:pulumi:cluster::assistant::{each.type}::{each.name}", each.type, each.name, each.inputs)
        for each in rendered.registered
    ]
    book = RuleBook([rule for rule in RULES if rule.id in ON_PODS])
    results = evaluate(book, resources, Stack(tuple(resources), production=False), Register())
    assert {result.rule for result in results} == ON_PODS
    assert [result for result in results if result.outcome is not Outcome.PASS] == []
