"""The rules of iptables, as text; what the kernel makes of them is shown on a cluster (live_addons.py)."""

from __future__ import annotations

from tools.kubernetes.addons.policy.netfilter import CHAIN, JUMP, chain_name, hook_changes, in_place, rules, script
from tools.kubernetes.addons.policy.selection import Allowance, Isolation

INGRESS = Isolation("10.0.0.2", "ingress", (Allowance("10.0.0.3/32", "TCP", 8080, 8080),))
EGRESS = Isolation("10.0.0.3", "egress", (Allowance("0.0.0.0/0", "UDP", 53, 53), Allowance("10.0.0.2/32")))
SAVED = "*filter\n:FORWARD ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n{}COMMIT\n"


def test_what_is_not_allowed_is_refused_last_and_nothing_is_ever_accepted() -> None:
    lines = rules([INGRESS, EGRESS])
    for isolation in (INGRESS, EGRESS):
        chain = [line for line in lines if line.startswith(f"-A {chain_name(isolation)} ")]
        assert chain[-1].endswith("-j REJECT --reject-with icmp-admin-prohibited")
        assert all(line.endswith("-j RETURN") for line in chain[:-1])
    assert not any("ACCEPT" in line for line in lines)


def test_answers_pass_before_anything_is_looked_at() -> None:
    first = next(line for line in rules([INGRESS]) if line.startswith(f"-A {CHAIN} "))
    assert first == f"-A {CHAIN} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"


def test_what_leaves_is_judged_before_what_arrives() -> None:
    judged = [line for line in rules([INGRESS, EGRESS]) if line.startswith(f"-A {CHAIN} -") and CHAIN in line.split()[-1]]
    assert [line.split()[2] for line in judged] == ["-s", "-d"]


def test_allowances_look_at_the_other_end() -> None:
    lines = rules([INGRESS, EGRESS])
    assert f"-A {chain_name(INGRESS)} -s 10.0.0.3/32 -p tcp --dport 8080 -j RETURN" in lines
    assert f"-A {chain_name(EGRESS)} -p udp --dport 53 -j RETURN" in lines
    assert f"-A {chain_name(EGRESS)} -d 10.0.0.2/32 -j RETURN" in lines


def test_a_pod_reaches_itself_whatever_policies_say() -> None:
    assert f"-A {chain_name(INGRESS)} -d 10.0.0.2/32 -s 10.0.0.2/32 -j RETURN" in rules([INGRESS])


def test_names_of_chains_fit_the_kernel() -> None:
    assert len(chain_name(Isolation("255.255.255.255", "ingress", ()))) <= 28


def test_the_jump_comes_first_again_where_somebody_pushed_it_aside() -> None:
    ours = "-A {hook} -m comment --comment assistant-network-policies -j KUBE-POLICY\n"
    theirs = "-A FORWARD -j KUBE-FORWARD\n"
    both = ours.format(hook="FORWARD") + ours.format(hook="INPUT")
    assert hook_changes(SAVED.format("")) == [f"-I FORWARD 1 {JUMP}", f"-I INPUT 1 {JUMP}"]
    assert hook_changes(SAVED.format(both + theirs)) == []
    aside = hook_changes(SAVED.format(theirs + both))
    assert aside == [f"-D FORWARD {JUMP}", f"-I FORWARD 1 {JUMP}"]
    assert not in_place(SAVED.format(both))  # the chain itself is missing
    assert in_place(SAVED.format(f":{CHAIN} - [0:0]\n{both}"))


def test_chains_of_pods_that_are_gone_are_removed_after_nothing_leads_to_them() -> None:
    text = script([INGRESS], SAVED.format(f":{CHAIN} - [0:0]\n:{CHAIN}-IOLD - [0:0]\n")).splitlines()
    assert text[0] == "*filter" and text[-1] == "COMMIT"
    assert f":{CHAIN}-IOLD - [0:0]" in text and text[-2] == f"-X {CHAIN}-IOLD"
    assert f"-X {chain_name(INGRESS)}" not in text


def test_the_address_of_a_service_never_leaves_the_machine() -> None:
    assert rules([])[2] == f"-A {CHAIN} -d 10.96.0.0/16 -j REJECT --reject-with icmp-admin-prohibited"
