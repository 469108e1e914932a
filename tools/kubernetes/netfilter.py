"""The rules that a node of ours makes, told from those that were there before. Pure, on the text of `iptables-save`."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from tools.kubernetes.address import INTERFACE, POD_NETWORK

OURS_PREFIXES = ("KUBE-", "CNI-")  # kube-proxy's and the kubelet's chains, and the port-mapping plugin's
COMMENT = INTERFACE
Rule = tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """User-defined and built-in chains, and the rules in order, each as its words from `-A` on."""

    chains: frozenset[str]
    rules: tuple[Rule, ...]


def parse(saved: str) -> dict[str, Table]:
    """Tables of `iptables-save`, by name. Counters are left out."""
    result: dict[str, Table] = {}
    name, chains, rules = "", set[str](), list[Rule]()
    for line in saved.splitlines():
        if line.startswith("*"):
            name, chains, rules = line[1:].strip(), set(), []
        elif line.startswith(":"):
            chains.add(line[1:].split()[0])
        elif line.startswith("-A "):
            rules.append(tuple(shlex.split(line)))
        elif line.startswith("COMMIT"):
            result[name] = Table(frozenset(chains), tuple(rules))
    return result


def own_rules() -> list[tuple[str, Rule]]:
    """(table, rule) that `up` adds itself: pods reach the outside, also where FORWARD drops by default (Docker sets it so)."""
    mark = ("-m", "comment", "--comment", COMMENT)
    outside = ("-A", "POSTROUTING", "-s", POD_NETWORK, "!", "-d", POD_NETWORK, *mark, "-j", "MASQUERADE")
    # Appended, so that a network policy's rules, which stand at the chain's beginning, come first.
    leaving = ("-A", "FORWARD", "-s", POD_NETWORK, *mark, "-j", "ACCEPT")
    arriving = ("-A", "FORWARD", "-d", POD_NETWORK, *mark, "-j", "ACCEPT")
    return [("nat", outside), ("filter", leaving), ("filter", arriving)]


def is_ours(rule: Rule, chains: frozenset[str]) -> bool:
    """In one of `chains`, or leading to one, or marked with our comment."""
    target = rule[rule.index("-j") + 1] if "-j" in rule else rule[rule.index("-g") + 1] if "-g" in rule else ""
    commented = "--comment" in rule and rule[rule.index("--comment") + 1] == COMMENT
    return rule[1] in chains or target in chains or commented


def written(rule: Rule) -> str:
    """As `iptables-restore` reads it, which knows double quotes only."""
    return " ".join('"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"' if " " in word else word for word in rule)


def removal(now: str, before: str) -> str:
    """Input for `iptables-restore --noflush` that takes away what was made since `before`; empty if there is nothing."""
    earlier = parse(before)
    parts: list[str] = []
    for name, table in parse(now).items():
        known = earlier.get(name, Table(frozenset(), ()))
        chains = frozenset(chain for chain in table.chains if chain.startswith(OURS_PREFIXES)) - known.chains
        rules = [rule for rule in table.rules if rule[1] not in chains and is_ours(rule, chains) and rule not in known.rules]
        if chains or rules:
            deletions = [written(("-D", *rule[1:])) for rule in rules]
            # Naming a chain empties it, so that chains which lead to one another can all be deleted.
            lines = [f"*{name}", *(f":{chain} - [0:0]" for chain in sorted(chains)), *deletions]
            parts.append("\n".join([*lines, *(f"-X {chain}" for chain in sorted(chains)), "COMMIT"]) + "\n")
    return "".join(parts)


def left_over(now: str, before: str) -> list[str]:
    """Rules and chains of Kubernetes that were not there before, for a message."""
    return [line for line in removal(now, before).splitlines() if line.startswith(("-X", "-D"))]


def foreign_cluster(before: str) -> bool:
    """Whether another kube-proxy writes rules on this machine: two would undo each other's work."""
    return any("KUBE-SERVICES" in table.chains for table in parse(before).values())
