"""Server certificates are short-lived, renewed in time, and for named hosts alone."""

from __future__ import annotations

from typing import Final

from policies.local_types import CERTIFICATE
from policies.resource import Resource, View
from policies.rule import PASS, Check, Rule, Severity, Verdict, each, fail
from policies.rules import links
from policies.show import show

ACM_CERTIFICATE: Final = "aws:acm/certificate:Certificate"
LONGEST_DAYS: Final = 398  # CA/Browser Forum, Baseline Requirements 6.3.2


def hosts_without_wildcard(resource: Resource) -> Verdict:
    hosts = resource.view.texts("hosts")
    if not hosts:
        return fail("hosts is empty: the certificate would be for nobody")
    wild = [host for host in hosts if "*" in host]
    return (
        fail(*(f"hosts has {show(host)}: one stolen key would speak for every host of the domain" for host in wild))
        if wild
        else PASS
    )


def lifetime(resource: Resource) -> Verdict:
    view = resource.view
    validity, renewal = view.number("validityDays"), view.number("renewBeforeDays")
    if validity is None or renewal is None:
        return fail("validityDays and renewBeforeDays are required")
    if not 0 < validity <= LONGEST_DAYS:
        return fail(f"validityDays is {show(validity)}; it is more than 0 and at most {LONGEST_DAYS}")
    return (
        PASS
        if 0 < renewal < validity
        else fail(f"renewBeforeDays is {show(renewal)}; it is more than 0 and less than validityDays")
    )


def is_validated_by_dns(resource: Resource) -> Verdict:
    """A record in DNS renews it for as long as it stands there; a mail waits for somebody to read it."""
    view = resource.view
    return each(lambda: _validated(view), lambda: _names_hosts(view))


def _validated(view: View) -> Verdict:
    if view.text("certificateAuthorityArn"):  # a private authority asks nobody
        return PASS
    if "certificateBody" in view or "privateKey" in view:
        return fail("the certificate is imported: nobody renews it but by hand")
    method = view.text("validationMethod")
    return PASS if method == "DNS" else fail(f"validationMethod is {show(method or 'not set')}; it is DNS")


def _names_hosts(view: View) -> Verdict:
    # What AWS adds to the names it was asked for is not known before; what was asked for is.
    names = [("domainName", view.text("domainName") or "")]
    names += [("subjectAlternativeNames", name) for name in view.texts("subjectAlternativeNames") or ()]
    wild = [f"{where} has {show(name)}: one stolen key would speak for every host" for where, name in names if "*" in name]
    return fail(*wild) if wild else PASS


ACM_CHECKS: Final = (
    Check(
        types=(ACM_CERTIFICATE,),
        properties=(
            "domainName",
            "subjectAlternativeNames",
            "validationMethod",
            "certificateAuthorityArn",
            "certificateBody",
            "privateKey",
        ),
        judge=is_validated_by_dns,
    ),
)

RULES: Final = (
    Rule(
        id="R72",
        name="certificate-no-wildcard",
        title="Certificates name their hosts, without a wildcard, and are validated by DNS",
        severity=Severity.MEDIUM,
        controls=("8.24",),
        remedy="list the hosts by name; set validationMethod to DNS",
        link=links.CERTIFICATES,
        checks=(Check(types=(CERTIFICATE,), properties=("hosts",), judge=hosts_without_wildcard), *ACM_CHECKS),
    ),
    Rule(
        id="L10",
        name="certificate-lifetime",
        title="Certificates live at most 398 days and are renewed before they end",
        severity=Severity.MEDIUM,
        controls=("8.24",),
        remedy="set validityDays to at most 398 and renewBeforeDays below it",
        link=links.CERTIFICATES,
        checks=(Check(types=(CERTIFICATE,), properties=("validityDays", "renewBeforeDays"), judge=lifetime),),
    ),
)
