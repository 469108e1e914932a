"""With what the engine is given the policy pack."""

from __future__ import annotations

import json
from pathlib import Path

from policies.rules import RULES
from tools.stack.engine import PROTECTION_RULES, policy_pack


def test_the_pack_is_given_as_it_is() -> None:
    with policy_pack() as arguments:
        assert arguments == ("--policy-pack", "policies")


def test_taking_the_protection_off_softens_the_rules_on_protection_and_no_others() -> None:
    with policy_pack(unprotect=True) as arguments:
        *given, file = arguments
        assert given == ["--policy-pack", "policies", "--policy-pack-config"]
        assert json.loads(Path(file).read_text()) == dict.fromkeys(PROTECTION_RULES, "advisory")
    assert not Path(file).exists()
    assert set(PROTECTION_RULES) <= {rule.policy for rule in RULES}
