"""The gateway's certificate and the authority that signed it; both keys stand in the stack's state alone, encrypted."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import cast

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, UpdateResult

from infra.dynamic import DynamicProvider, Props, changed_inputs, contains_unknown, inputs_of, update_or_replace
from infra.generated.authority import Issued, fingerprint, issue_authority, issue_server, not_after
from infra.generated.renewal import Action, due

COMMON_NAME = "Assistant stack authority"
INPUTS = ("hosts", "validityDays", "renewBeforeDays")
SECRET_OUTPUTS = ("key", "authorityKey")


class CertificateProvider(DynamicProvider):
    """Inputs: :data:`INPUTS`. Outputs besides: ``caCertificate``, ``certificate`` (PEM), ``key``, ``authorityKey`` (PEM,
    secret), ``notAfter``, ``authorityNotAfter`` (ISO 8601, UTC) and ``fingerprint`` (SHA-256)."""

    def create(self, props: Props) -> CreateResult:
        now = _now()
        outputs = _issued(props, issue_authority(props["hosts"], now, COMMON_NAME), now)
        return CreateResult(str(outputs["fingerprint"])[:16], outputs)

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if not contains_unknown(news) and due(olds, news, _now()) is not Action.KEEP:
            changed.append("notAfter")
        return update_or_replace(changed, replaced_by=frozenset())

    def update(self, _id: str, olds: Props, news: Props) -> UpdateResult:
        now = _now()
        action = due(olds, news, now)
        if action is Action.KEEP:
            return UpdateResult({**inputs_of(olds), **inputs_of(news)})
        if action is Action.REISSUE:
            authority = issue_authority(news["hosts"], now, COMMON_NAME)
        else:
            authority = Issued(olds["caCertificate"].encode(), olds["authorityKey"].encode())
        return UpdateResult(_issued(news, authority, now))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _issued(props: Props, authority: Issued, now: datetime.datetime) -> Props:
    """The outputs with a new server certificate signed by ``authority``."""
    server = issue_server(authority, props["hosts"], datetime.timedelta(days=float(props["validityDays"])), now)
    return {
        **{name: props[name] for name in INPUTS},
        "caCertificate": authority.certificate.decode(),
        "authorityKey": authority.key.decode(),
        "certificate": server.certificate.decode(),
        "key": server.key.decode(),
        "fingerprint": fingerprint(server.certificate),
        "notAfter": not_after(server.certificate).isoformat(),
        "authorityNotAfter": not_after(authority.certificate).isoformat(),
    }


class Certificate(Resource, module="generated", name="Certificate"):
    """A server certificate for ``hosts``, renewed by ``up`` when fewer than ``renew_before_days`` are left."""

    certificate: pulumi.Output[str]
    key: pulumi.Output[str]
    fingerprint: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        hosts: Sequence[str],
        validity_days: int,
        renew_before_days: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        outputs = ("caCertificate", "certificate", "fingerprint", "notAfter", "authorityNotAfter", *SECRET_OUTPUTS)
        super().__init__(
            CertificateProvider(),
            name,
            {
                "hosts": list(hosts),
                "validityDays": validity_days,
                "renewBeforeDays": renew_before_days,
                **dict.fromkeys(outputs),
            },
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(additional_secret_outputs=list(SECRET_OUTPUTS))),
        )

    @property
    def ca_certificate(self) -> pulumi.Output[str]:
        """PEM of the authority."""
        return cast("pulumi.Output[str]", self.__dict__["caCertificate"])
