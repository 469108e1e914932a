"""The model of a stack on Fargate: a task converts it into the bucket, unless it lies there already.

:mod:`infra.dynamic` says why this module cannot be renamed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, UpdateResult

from infra.aws.models import RESULTS, published, results
from infra.dynamic import DynamicProvider, Props, changed_inputs, inputs_of, present, update_or_replace
from infra.errors import DeploymentError

if TYPE_CHECKING:
    from app.models.manifest import Manifest

CONTAINER = "model"
TASK_SECONDS = 3 * 3600.0  # a few gigabytes from a slow hub, converted on a few CPUs
# Of app.models.
EXIT_STATUSES = {
    2: "the converter does not know its command line: the image is of another version (exit status 2)",
    3: "the quantised model misses its gate, and nothing was published (exit status 3)",
}


class ModelTaskProvider(DynamicProvider):
    """Inputs: ``region``, ``profile``, ``url`` (s3://bucket/prefix), ``recipeKey``, ``maxKl``, ``minTop1``, ``cluster``,
    ``taskDefinition``, ``subnets``, ``securityGroups``, ``logGroup``. Outputs besides: ``modelName``, ``modelDigest``.

    What the recipe makes lies under its key, so a task runs only where there is nothing: another image or size alone converts
    nothing again. Deleting leaves the bucket alone, which keeps what other versions need.
    """

    def create(self, props: Props) -> CreateResult:
        return CreateResult(props["recipeKey"][:16], make(props))

    def diff(self, _id: str, olds: Props, news: Props) -> DiffResult:
        changed = changed_inputs(olds, news)
        if any(olds.get(name) is None for name in RESULTS):
            changed.append("modelDigest")
        return update_or_replace(changed, replaced_by=frozenset())

    def update(self, _id: str, _olds: Props, news: Props) -> UpdateResult:
        return UpdateResult(make(news))

    def read(self, id_: str, props: Props) -> ReadResult:
        """Whether it is still there: the next `up` makes what is not."""
        found = published(_client(props, "s3"), props["url"], props["recipeKey"])
        return present(id_, {**inputs_of(props), **results(found)})


def make(props: Props) -> Props:
    """The outputs, once the model lies in the bucket. Raises :class:`DeploymentError`."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return _make(props, lambda line: print(line, flush=True))  # the engine shows a provider's output
    except ClientError as error:
        raise DeploymentError(f"The model could not be made: {error}") from None
    except BotoCoreError as error:
        raise DeploymentError(f"The model could not be made: AWS cannot be asked ({error})") from None


def _make(props: Props, say: Callable[[str], None]) -> Props:
    from infra.aws.ecs_one_off import OneOff, Runner, guard_command

    s3, url, key = _client(props, "s3"), props["url"], props["recipeKey"]
    found = published(s3, url, key)
    if found is None:
        runner = Runner(
            _client(props, "ecs"), _client(props, "logs"), say, guard_command(props["region"], props.get("profile"))
        )
        runner.run(
            OneOff(
                cluster=props["cluster"],
                definition=props["taskDefinition"],
                subnets=props["subnets"],
                security_groups=props["securityGroups"],
                log_group=props["logGroup"],
                container=CONTAINER,
                started_by=f"model/{key}",
                seconds=float(props.get("seconds") or TASK_SECONDS),
                failures=EXIT_STATUSES,
            )
        )
        found = published(s3, url, key)
    if found is None:
        raise DeploymentError(f"The task {CONTAINER} ended well, and {url} has no recipe {key}: look at {props['logGroup']}.")
    _admit(found, props)
    return {**inputs_of(props), **results(found)}


def _admit(found: Manifest, props: Props) -> None:
    """The bounds admit a model and do not change it, so what was made under others is measured by these."""
    from app.models.errors import GateError
    from app.models.manifest import Thresholds
    from app.models.recipe import admit

    try:
        admit(found.gate, Thresholds(max_kl=props["maxKl"], min_top1=props["minTop1"]))
    except GateError as error:
        raise DeploymentError(str(error)) from None


def _client(props: Props, service: str) -> Any:
    from infra.aws.session import client, session

    return client(session(props["region"], props.get("profile")), service)


class ModelTask(Resource, module="aws", name="ModelTask"):
    """``model_name`` and ``model_digest`` of what lies in the bucket under the recipe's key."""

    def __init__(
        self,
        name: str,
        *,
        region: str,
        profile: str | None,
        url: pulumi.Input[str],
        recipe_key: str,
        max_kl: float,
        min_top1: float,
        cluster: pulumi.Input[str],
        task_definition: pulumi.Input[str],
        subnets: Sequence[pulumi.Input[str]],
        security_groups: Sequence[pulumi.Input[str]],
        log_group: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties: dict[str, Any] = {
            "region": region,
            "profile": profile,
            "url": url,
            "recipeKey": recipe_key,
            "maxKl": max_kl,
            "minTop1": min_top1,
            "cluster": cluster,
            "taskDefinition": task_definition,
            "subnets": list(subnets),
            "securityGroups": list(security_groups),
            "logGroup": log_group,
            **dict.fromkeys(RESULTS),
        }
        super().__init__(ModelTaskProvider(), name, properties, opts)

    @property
    def model_name(self) -> pulumi.Output[str]:
        return cast("pulumi.Output[str]", self.__dict__["modelName"])

    @property
    def model_digest(self) -> pulumi.Output[str]:
        return cast("pulumi.Output[str]", self.__dict__["modelDigest"])
