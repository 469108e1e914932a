"""One environment refers to nothing of another's, and its things say which environment they are of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from policies.resource import Malformed, Resource, Stack, View, project_of, stack_of
from policies.rule import PASS, Check, Finding, Relation, Rule, Severity, Verdict, each, fail, found
from policies.rules import links
from policies.show import show
from policies.values import Leaf, Value

# Stacks of this project that have a profile of their own (infra/profiles.py).
ENVIRONMENTS: Final = ("dev", "staging", "prod", "serverless")
# infra/aws/naming.py: six hexadecimal digits after what remains of a name. A load balancer's address goes on after them.
CUT: Final = re.compile(r"-[0-9a-f]{6}(?![a-z0-9])")
TAG: Final = "Environment"
AWS_PROVIDER: Final = "pulumi:providers:aws"
STACK_REFERENCE: Final = "pulumi:pulumi:StackReference"


def own_alone(resource: Resource) -> Verdict:
    """What a resource's inputs name, and the tag by which it says where it belongs."""
    stack, project = stack_of(resource.urn), project_of(resource.urn)
    foreign = _foreign(project, stack)
    # Most texts do not name the project at all, which is quicker to see than what they name.
    name = project.lower()
    texts = [leaf for leaf in resource.leaves() if name and isinstance(leaf.value, str) and name in leaf.value.lower()]
    return each(*(partial(_names_no_other, leaf, foreign, stack) for leaf in texts), partial(_tagged, resource, stack))


def _foreign(project: str, stack: str) -> re.Pattern[str]:
    """Names as infra/aws/naming.py makes them, ``assistant-staging-queue`` or ``assistant/staging/…``, of another stack.

    The stack's own name is looked for first: ``prod-eu`` is not ``prod``, though its names begin alike.
    """
    others = "|".join(re.escape(name) for name in ENVIRONMENTS)
    return re.compile(rf"(?<![\w-]){re.escape(project)}([-/])(?!{re.escape(stack)}(?![a-z0-9]))({others})(?![a-z0-9])", re.I)


def _names_no_other(leaf: Leaf, foreign: re.Pattern[str], stack: str) -> Verdict:
    text = str(leaf.value)
    others = [named for named in foreign.finditer(text) if not _is_cut(text[named.start(2) :], named[2], stack)]
    return fail(f"{leaf.path} names something of the environment {others[0][2].lower()}") if others else PASS


def _is_cut(text: str, environment: str, stack: str) -> bool:
    """Is ``text`` the stack's own long name, cut within it to what a service takes? A digest stands for what was cut."""
    own = stack.lower().replace("_", "-").replace(".", "-")
    remains = (text[: digest.start()].lower() for digest in CUT.finditer(text.lower()))
    return any(len(cut) > len(environment) and own.startswith(cut) for cut in remains)


def _tagged(resource: Resource, stack: str) -> Verdict:
    """An unknown tag is one of this stack's own making; whether there is one is another rule's matter."""
    came = View(_tags(resource)).raw(TAG)
    if not isinstance(came, str) or came == stack:
        return PASS
    return fail(f"the tag {TAG} is {show(came)}; this stack is {show(stack)}")


def _tags(resource: Resource) -> Mapping[str, Value]:
    view = resource.view
    if resource.type == AWS_PROVIDER:
        defaults = view.raw("defaultTags")
        # The engine hands a provider's nested settings over as JSON.
        try:
            read = json.loads(defaults) if isinstance(defaults, str) else defaults
        except ValueError:
            raise Malformed("defaultTags", "JSON", "another text") from None
        tags = read.get("tags") if isinstance(read, dict) else None
    else:
        tags = view.raw("tags")
    return tags if isinstance(tags, dict) else {}


def references_alone(stack: Stack) -> Sequence[Finding]:
    return [found(reference, partial(_reference, reference)) for reference in stack.of_type(STACK_REFERENCE)]


def _reference(reference: Resource) -> Verdict:
    """``organisation/project/stack``."""
    named, own = (reference.view.text("name") or "").rpartition("/")[2], stack_of(reference.urn)
    return PASS if named == own else fail(f"name leads to the stack {show(named or 'of no name')}; this one is {show(own)}")


RULES: Final[tuple[Rule, ...]] = (
    Rule(
        id="R74",
        name="environments-apart",
        title="No reference across environments; the tag equals the stack's name",
        severity=Severity.HIGH,
        controls=("8.31", "8.22"),
        remedy="name only what is this stack's own; give what environments share a stack and a waiver of its own",
        link=links.ENVIRONMENTS,
        checks=(Check(types=(), judge=own_alone),),
        relations=(Relation(reads={STACK_REFERENCE: ("name",)}, judge=references_alone),),
    ),
)
