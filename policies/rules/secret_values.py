"""No secret stands in plain: neither in what goes into a resource, nor in what comes out of it or out of the stack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Final

from policies.expanded import expanded, from_base64
from policies.resource import Resource, Stack
from policies.rule import PASS, Check, Finding, Outcome, Relation, Rule, Severity, Verdict, fail, found, undetermined
from policies.rules import links
from policies.secret_scanning import keyed_by_secret, scan, scan_arguments, without_public_pem
from policies.values import UNKNOWN, Leaf, Secret, Value, join, leaves

# Under these a text is a command line or a script.
COMMANDS: Final = frozenset({"command", "args", "entryPoint", "userData", "userDataBase64"})
SCRIPT: Final = "#!"
KUBERNETES_SECRETS: Final = ("kubernetes:core/v1:Secret", "kubernetes:core/v1:SecretPatch")
PARAMETER: Final = "aws:ssm/parameter:Parameter"
SECURE: Final = "SecureString"
# What is there to keep secrets, and the properties that it keeps them in.
SECRET_BY_TYPE: Final = {
    **dict.fromkeys(KUBERNETES_SECRETS, ("data", "stringData")),
    "aws:secretsmanager/secretVersion:SecretVersion": ("secretString", "secretBinary"),
    PARAMETER: ("value", "insecureValue"),
}
BASE64_BY_TYPE: Final = frozenset({"data", "secretBinary"})


def literals(found_leaves: Iterator[Leaf]) -> Verdict:
    """Judge every text by what it is and by the name under which it stands; what is marked as secret is as it should be."""
    plain: list[str] = []
    later: list[str] = []
    for leaf in found_leaves:
        if leaf.marked:
            continue
        if leaf.value is UNKNOWN and keyed_by_secret(leaf.keys):
            later.append(leaf.path)
        elif isinstance(leaf.value, str) and (reason := scan(leaf.keys, leaf.value)):
            plain.append(f"{leaf.path} holds {reason} in plain")
    if plain:
        return fail(*plain)
    if later:
        return undetermined(f"{', '.join(later)}: not known before the update, which looks whether it is marked as secret")
    return PASS


def command_lines(value: Value, keys: tuple[str, ...] = ()) -> Iterator[str]:
    """Paths of literals that follow an option named like a secret, in any list below ``value`` and in its command lines."""
    if isinstance(value, Secret):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from command_lines(item, (*keys, key))
    elif isinstance(value, list):
        # What is not a plain text, a marked secret for one, counts as an empty argument.
        for position, reason in scan_arguments([item if isinstance(item, str) else "" for item in value]):
            yield f"{join((*keys, f'[{position}]'))} holds {reason} in plain"
        for position, item in enumerate(value):
            yield from command_lines(item, (*keys, f"[{position}]"))
    elif isinstance(value, str) and (value.startswith(SCRIPT) or not COMMANDS.isdisjoint(keys)):
        for line in value.splitlines():
            for _position, reason in scan_arguments(line.split()):
                yield f"{join(keys)} holds {reason} in plain"


def kept_in_plain(resource: Resource) -> Iterator[str]:
    """Paths of what is a secret by where it stands, whatever its name and looks."""
    properties = resource.view
    for name in SECRET_BY_TYPE.get(resource.type, ()):
        if resource.type == PARAMETER and properties.raw("type") != SECURE:
            continue
        value = resource.properties.get(name)
        in_base64 = name in BASE64_BY_TYPE
        for leaf in leaves(value, (name,)):
            if not leaf.marked and isinstance(leaf.value, str) and not _is_public(leaf.value, in_base64):
                yield f"{leaf.path} is kept as a secret and stands in plain"


def _is_public(text: str, in_base64: bool) -> bool:
    """Certificates, which lie beside their key, and nothing."""
    inner = (from_base64(text) if in_base64 else None) or text
    return not without_public_pem(inner).strip()


def no_literal_secret(resource: Resource) -> Verdict:
    properties = expanded(dict(resource.properties))
    verdict = literals(leaves(properties))
    plain = (*command_lines(properties), *kept_in_plain(resource))
    if not plain:
        return verdict
    return fail(*(verdict.reasons if verdict.outcome is Outcome.FAIL else ()), *plain)


def no_plain_secret_output(stack: Stack) -> Sequence[Finding]:
    return [found(resource, partial(no_literal_secret, resource)) for resource in stack.resources]


MARK: Final = "mark the value as secret (pulumi.Output.secret, `pulumi config set --secret`) or pass the path of a file instead"

RULES: Final = (
    Rule(
        id="R06",
        name="no-literal-secret",
        title="No secret stands in plain in a resource's inputs",
        severity=Severity.CRITICAL,
        controls=("5.17", "8.12"),
        remedy=f"{MARK}; then replace the secret, because it has been in the program and may be in its history",
        link=links.SECRETS,
        checks=(Check(types=(), judge=no_literal_secret),),
    ),
    Rule(
        id="L01",
        name="no-plain-secret-output",
        title="No secret stands in plain in a resource's outputs or in what the stack exports",
        severity=Severity.CRITICAL,
        controls=("5.17", "8.12"),
        remedy=f"name the output in additional_secret_outputs, or {MARK}; then replace the secret: state and screen showed it",
        link=links.SECRETS,
        relations=(Relation(reads={}, judge=no_plain_secret_output),),
    ),
)
