"""Enforces network policies on a cluster of ours with one node, by netfilter.

Kubernetes itself only stores NetworkPolicy objects; a network plugin enforces them. The usual plugins cannot be had as Go
modules everywhere, so this is one of our own, for tests: networking.k8s.io/v1 for IPv4, as rules of iptables. It is no product,
and nothing of the stack depends on it.
"""
