"""The rules of iptables for what pods may do, as text for `iptables-restore --noflush`. Pure.

A packet passes ours before any other rule of FORWARD (between pods, and with the outside) and of INPUT (to this machine).
Ours refuse or return, and never accept, so that what else the machine forbids stays forbidden. What this machine itself sends,
such as the kubelet's probes, passes neither chain: a node may always reach its pods.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from tools.kubernetes.addons.policy.selection import ANYWHERE, Allowance, Isolation
from tools.kubernetes.address import SERVICE_NETWORK

CHAIN = "KUBE-POLICY"  # with this prefix `down` knows it as the cluster's
HOOKS = ("FORWARD", "INPUT")
JUMP = f"-m comment --comment assistant-network-policies -j {CHAIN}"
REFUSE = "-j REJECT --reject-with icmp-admin-prohibited"


def chain_name(isolation: Isolation) -> str:
    """At most 28 characters, the kernel's limit."""
    said = f"{isolation.address} {isolation.direction}".encode()
    return f"{CHAIN}-{isolation.direction[0].upper()}{hashlib.sha256(said).hexdigest()[:12].upper()}"


def rules(isolations: Sequence[Isolation]) -> list[str]:
    """Chains and rules, without what makes a table of them."""
    chains = [CHAIN, *(chain_name(each) for each in isolations)]
    lines = [f":{chain} - [0:0]" for chain in chains]
    lines.append(f"-A {CHAIN} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN")
    # kube-proxy changes its tables one after the other: for a moment a new Service's address is not rewritten, and would go out
    # by the default route, where a network that answers for any address keeps such a connection for good.
    lines.append(f"-A {CHAIN} -d {SERVICE_NETWORK} {REFUSE}")
    # First what leaves, then what arrives: between two pods both must agree.
    for isolation in sorted(isolations, key=lambda each: each.direction):
        end = "-s" if isolation.direction == "egress" else "-d"
        lines.append(f"-A {CHAIN} {end} {isolation.address}/32 -j {chain_name(isolation)}")
    for isolation in isolations:
        chain, (own, other) = chain_name(isolation), ("-s", "-d") if isolation.direction == "egress" else ("-d", "-s")
        lines.append(f"-A {chain} {own} {isolation.address}/32 {other} {isolation.address}/32 -j RETURN")  # itself, always
        lines += [f"-A {chain} {_condition(other, allowance)}-j RETURN" for allowance in isolation.allowed]
        lines.append(f"-A {chain} {REFUSE}")
    return lines


def _condition(end: str, allowance: Allowance) -> str:
    words = []
    if allowance.peer != ANYWHERE:
        words += [end, allowance.peer]
    if allowance.protocol:
        words += ["-p", allowance.protocol.lower()]
        if allowance.first:
            words += [
                "--dport",
                str(allowance.first) if allowance.first == allowance.last else f"{allowance.first}:{allowance.last}",
            ]
    return "".join(f"{word} " for word in words)


def hook_changes(saved: str) -> list[str]:
    """What brings our jump to the beginning of each hook; `saved` is what `iptables-save -t filter` says."""
    changes = []
    for hook in HOOKS:
        there = [line for line in saved.splitlines() if line.startswith(f"-A {hook} ")]
        ours = [line for line in there if line.endswith(f"-j {CHAIN}")]
        if ours != there[:1] or not ours:
            changes += [f"-D{line[2:]}" for line in ours] + [f"-I {hook} 1 {JUMP}"]
    return changes


def in_place(saved: str) -> bool:
    """Whether our chain is there and comes first."""
    return not hook_changes(saved) and f":{CHAIN} " in saved


def script(isolations: Sequence[Isolation], saved: str) -> str:
    """One transaction: the new rules, our jumps, and the end of chains that nobody needs any more."""
    lines = rules(isolations)
    needed = {line[1:].split()[0] for line in lines if line.startswith(":")}
    there = {line[1:].split()[0] for line in saved.splitlines() if line.startswith(f":{CHAIN}")}
    gone = sorted(there - needed)
    emptied = [f":{chain} - [0:0]" for chain in gone]
    return "\n".join(["*filter", *emptied, *lines, *hook_changes(saved), *(f"-X {chain}" for chain in gone), "COMMIT"]) + "\n"
