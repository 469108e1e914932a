"""What both targets on AWS stand on: network, keys, buckets, images, empty secrets, and who is told, of alarms and of money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from infra.aws.backup import Backup, BackupArgs
from infra.aws.budget import Budget, BudgetArgs
from infra.aws.context import AwsContext
from infra.aws.keys import Keys, KeysArgs
from infra.aws.network import Network, NetworkArgs
from infra.aws.notifications import Notifications, NotificationsArgs
from infra.aws.registry import Architecture, Registry, RegistryArgs
from infra.aws.secrets import ApplicationSecrets, ApplicationSecretsArgs, secret_names
from infra.aws.storage import Storage, StorageArgs
from infra.aws.trail import Trail, TrailArgs


@dataclass(frozen=True, kw_only=True)
class FoundationArgs:
    """``images``: the targets of app/Dockerfile that the stack runs. ``architecture``: of the machines that run them."""

    context: AwsContext
    images: Sequence[str]
    architecture: Architecture = "x86_64"


class Foundation(pulumi.ComponentResource):
    """Each part by its name. The queue's store is not among them: who may reach it is known when there is somebody."""

    def __init__(self, name: str, args: FoundationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Foundation", name, {}, opts)
        context, child = args.context, pulumi.ResourceOptions(parent=self)
        self.keys = Keys("keys", KeysArgs(context=context), child)
        self.network = Network("network", NetworkArgs(context=context, logs_key_arn=self.keys.arn("logs")), child)
        self.storage = Storage("storage", StorageArgs(context=context, keys=self.keys), child)
        self.notifications = Notifications(
            "notifications", NotificationsArgs(context=context, key_arn=self.keys.arn("notifications")), child
        )
        self.registry = Registry(
            "registry",
            RegistryArgs(context=context, key_arn=self.keys.arn("data"), targets=args.images, architecture=args.architecture),
            child,
        )
        self.secrets = ApplicationSecrets(
            "secrets",
            ApplicationSecretsArgs(context=context, key_arn=self.keys.arn("secrets"), names=secret_names(context.settings)),
            child,
        )
        self.trail = Trail("trail", TrailArgs(context=context, keys=self.keys, storage=self.storage), child)
        self.backup = Backup(
            "backup",
            BackupArgs(
                context=context,
                key_arn=self.keys.arn("data"),
                topic_arn=self.notifications.topic_arn,
                resource_arns=[self.storage.models.arn, self.storage.audit.arn],
            ),
            child,
        )
        self.budget = Budget("budget", BudgetArgs(context=context, topic_arn=self.notifications.topic_arn), child)
        self.register_outputs({})
