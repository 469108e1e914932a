"""Which versions of Kubernetes EKS supports, and until when.

The dates are EKS' own calendar (docs.aws.amazon.com/eks/latest/userguide/kubernetes-versions.html), looked up on 2026-11-24.
The upgrade policy is STANDARD: after its day AWS upgrades a control plane by itself, and a stack that still says the old
version no longer says what runs.
"""

from __future__ import annotations

import datetime

from infra.errors import DeploymentError

LOOKED_UP = datetime.date(2026, 11, 24)
# Of standard support, the last day before which a cluster should be on the next version.
END_OF_STANDARD_SUPPORT: dict[str, datetime.date] = {
    "1.33": datetime.date(2026, 7, 29),
    "1.34": datetime.date(2026, 12, 2),
    "1.35": datetime.date(2027, 3, 27),
    "1.36": datetime.date(2027, 8, 2),
}
# AWS announces an end at least 60 days before it.
NOTICE = datetime.timedelta(days=60)


def today() -> datetime.date:
    """In UTC, which EKS' calendar is in."""
    return datetime.datetime.now(datetime.UTC).date()


def supported(day: datetime.date) -> tuple[str, ...]:
    return tuple(version for version, end in END_OF_STANDARD_SUPPORT.items() if day < end)


def check_known(version: str) -> None:
    """Whatever day it is. Raises :class:`DeploymentError`."""
    if version not in END_OF_STANDARD_SUPPORT:
        raise DeploymentError(
            f"assistant:eks.version is {version}, which this project does not know as a version of EKS. Allowed: "
            f"{', '.join(supported(LOOKED_UP))}, as of {LOOKED_UP}; a newer one is entered in infra/aws/kubernetes_versions.py "
            "once its add-ons were tried."
        )


def check(version: str, day: datetime.date) -> str | None:
    """What to say aloud of ``version``, if anything. Raises :class:`DeploymentError` for one that EKS does not support."""
    check_known(version)
    end = END_OF_STANDARD_SUPPORT[version]
    newer = [each for each in supported(day) if END_OF_STANDARD_SUPPORT[each] > end]
    if day >= end:
        allowed = ", ".join(supported(day)) or "none that this project knows: see infra/aws/kubernetes_versions.py"
        raise DeploymentError(
            f"assistant:eks.version is {version}, whose standard support on EKS ended on {end}: AWS upgrades such clusters by "
            f"itself. Allowed: {allowed}. One minor version at a time: see docs/aws.md."
        )
    if end - day > NOTICE:
        return None
    upgrade = f"set eks.version to {newer[0]} before" if newer else "AWS upgrades the cluster by itself then"
    return f"Standard support of Kubernetes {version} on EKS ends on {end}, in {(end - day).days} days: {upgrade}."
