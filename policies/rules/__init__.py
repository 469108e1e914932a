"""The rules, one module a theme. Adding one: write it in its theme's module; the module is named here."""

from __future__ import annotations

from typing import Final

from policies.rule import Rule
from policies.rules import (
    application,
    buckets,
    capacity,
    certificate,
    changes,
    cluster,
    edge,
    environments,
    firewall,
    iam,
    images,
    keys,
    managed_redis,
    model,
    monitoring,
    namespaces,
    network,
    ownership,
    pod_security,
    process,
    queues,
    rbac,
    redis,
    secret_files,
    secret_store,
    secret_values,
    service_accounts,
    subnets,
    tasks,
)

_THEMES: Final = (
    secret_values,
    secret_files,
    secret_store,
    iam,
    rbac,
    service_accounts,
    application,
    tasks,
    pod_security,
    capacity,
    namespaces,
    images,
    buckets,
    keys,
    redis,
    managed_redis,
    queues,
    cluster,
    network,
    firewall,
    edge,
    subnets,
    certificate,
    monitoring,
    ownership,
    environments,
    process,
    model,
)
_CHECKED: Final[tuple[Rule, ...]] = tuple(rule for theme in _THEMES for rule in theme.RULES)
RULES: Final[tuple[Rule, ...]] = (*_CHECKED, changes.rule(_CHECKED))
