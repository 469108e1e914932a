"""Where images come from, and by what name they are run."""

from __future__ import annotations

import json

from aws_rendering import aws_settings, render_component

from infra.aws.registry import KEPT_IMAGES, Registry, RegistryArgs

DIGEST = f"sha256:{'b' * 64}"


def registry(*targets, **more):
    return lambda context: Registry("r", RegistryArgs(context=context, key_arn="key", targets=targets, **more))


async def test_each_image_has_a_repository_that_nobody_writes_over_and_that_is_scanned_and_encrypted():
    rendered = await render_component(registry("gateway", "inference-cpu"))
    repositories = {it.inputs["name"]: it.inputs for it in rendered.of("Repository")}
    assert set(repositories) == {"assistant-prod/gateway", "assistant-prod/inference-cpu"}
    for repository in repositories.values():
        assert repository["imageTagMutability"] == "IMMUTABLE"
        assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
        assert repository["encryptionConfigurations"] == [{"encryptionType": "KMS", "kmsKey": "key"}]
    rules = json.loads(rendered.of("LifecyclePolicy")[0].inputs["policy"])["rules"]
    assert [rule["selection"]["countNumber"] for rule in rules] == [7, KEPT_IMAGES]


async def test_an_image_is_built_for_the_machines_that_run_it_and_pushed_but_not_in_a_preview():
    rendered = await render_component(registry("gateway", architecture="arm64"))
    image = rendered.one("docker-build:index:Image").inputs
    assert (image["target"], image["platforms"], image["push"], image["buildOnPreview"]) == (
        "gateway",
        ["linux/arm64"],
        True,
        False,
    )
    assert not image["context"]["location"].startswith("/")  # the same in every checkout
    assert len(image["tags"]) == 1  # a digest of all that goes in: an unchanged checkout pushes nothing anew


async def test_published_images_are_run_as_they_are_and_nothing_is_built():
    published = {"gateway": f"registry.example.com/gateway@{DIGEST}", "inference": f"registry.example.com/inference@{DIGEST}"}
    settings = aws_settings("prod", images=published)
    rendered = await render_component(registry("gateway", "inference-cpu"), settings)
    assert not rendered.of("Repository")
    assert not rendered.of("docker-build:index:Image")


async def test_the_gates_image_is_built_even_where_the_settings_name_the_one_for_the_cpu():
    settings = aws_settings("prod", images={"inference": f"registry.example.com/inference@{DIGEST}"})
    rendered = await render_component(registry("inference-cpu", "inference-gpu"), settings)
    assert [it.inputs["target"] for it in rendered.of("docker-build:index:Image")] == ["inference-gpu"]
