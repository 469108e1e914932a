"""The images: built from this checkout, pushed into repositories of the stack's own and run by their digests. Published images
that the settings name are run as they are, and nothing is built for them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pulumi
import pulumi_aws as aws
import pulumi_docker_build as docker_build

from infra.aws.context import AwsContext

CHECKOUT = Path(__file__).resolve().parents[2]
# From infra/, where the engine runs program and plugins: an absolute path would differ from one checkout to the next, and each
# would build anew.
CONTEXT, DOCKERFILE = "..", "../app/Dockerfile"
KEPT_IMAGES = 20  # a version to go back to for each of as many deployments
UNTAGGED_DAYS = 7
Architecture = Literal["x86_64", "arm64"]
PLATFORMS: Mapping[Architecture, docker_build.Platform] = {
    "x86_64": docker_build.Platform.LINUX_AMD64,
    "arm64": docker_build.Platform.LINUX_ARM64,
}
# What the settings call the image of a Dockerfile target.
SETTING = {"gateway": "gateway", "transport": "transport", "inference-cpu": "inference", "inference-gpu": "inference"}


@dataclass(frozen=True, kw_only=True)
class RegistryArgs:
    """``targets``: of app/Dockerfile, those that the stack runs. ``architecture``: of the machines that run them."""

    context: AwsContext
    key_arn: pulumi.Input[str]
    targets: Sequence[str]
    architecture: Architecture = "x86_64"


class Registry(pulumi.ComponentResource):
    """``images``: by target, each with its digest. In a preview the digest of what is yet to be built is not known."""

    images: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("assistant:aws:Registry", name, {}, opts)
        self._name, self._args = name, args
        published = {target: image for target in args.targets if (image := self._published(target))}
        self.images = {target: pulumi.Output.from_input(image) for target, image in published.items()}
        if built := [target for target in args.targets if target not in published]:
            token = aws.ecr.get_authorization_token_output(opts=pulumi.InvokeOptions(parent=self))
            self.images |= {target: self._built(target, token) for target in built}
        self.register_outputs({"images": self.images})

    def _published(self, target: str) -> str | None:
        image: str | None = getattr(self._args.context.settings.images, SETTING[target])
        # The GPU's image, where inference is on the CPU, is the gate's alone: what the settings name is not it.
        device = self._args.context.settings.inference.device
        wanted = "inference-gpu" if device == "cuda" else "inference-cpu"
        return image if target in ("gateway", "transport", wanted) else None

    def _built(self, target: str, token: pulumi.Output[aws.ecr.GetAuthorizationTokenResult]) -> pulumi.Output[str]:
        from tools.images.pushed import tag as pushed_tag

        context = self._args.context
        repository = aws.ecr.Repository(
            f"{self._name}-{target}",
            name=f"{context.name()}/{target}",
            image_tag_mutability="IMMUTABLE",
            image_scanning_configuration=aws.ecr.RepositoryImageScanningConfigurationArgs(scan_on_push=True),
            encryption_configurations=[
                aws.ecr.RepositoryEncryptionConfigurationArgs(encryption_type="KMS", kms_key=self._args.key_arn)
            ],
            # What is in it can be built again from the same commit.
            force_delete=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        aws.ecr.LifecyclePolicy(
            f"{self._name}-{target}-lifecycle",
            repository=repository.name,
            policy=lifecycle(),
            opts=pulumi.ResourceOptions(parent=self),
        )
        platform = PLATFORMS[self._args.architecture]
        # Another whenever there is something to build, since the repository takes no tag twice.
        tag = pushed_tag(target, platform.value, CHECKOUT)
        image = docker_build.Image(
            f"{self._name}-{target}-image",
            context=docker_build.BuildContextArgs(location=CONTEXT),
            dockerfile=docker_build.DockerfileArgs(location=DOCKERFILE),
            target=target,
            platforms=[platform],
            tags=[pulumi.Output.concat(repository.repository_url, ":", tag)],
            push=True,
            build_on_preview=False,
            registries=[
                docker_build.RegistryArgs(
                    address=repository.repository_url,
                    username=token.user_name,
                    password=pulumi.Output.secret(token.password),
                )
            ],
            labels={"org.opencontainers.image.version": tag},
            opts=pulumi.ResourceOptions(parent=self),
        )
        return image.ref


def lifecycle() -> str:
    """JSON. The newest are kept, whatever their age: the oldest of them may be what runs. Pure."""
    untagged = {
        "rulePriority": 1,
        "description": "what no build points at any more",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": UNTAGGED_DAYS,
        },
        "action": {"type": "expire"},
    }
    old = {
        "rulePriority": 2,
        "description": "older versions",
        "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": KEPT_IMAGES},
        "action": {"type": "expire"},
    }
    return json.dumps({"rules": [untagged, old]}, sort_keys=True)
