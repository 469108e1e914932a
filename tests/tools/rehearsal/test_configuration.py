"""A rehearsal changes what it must of a stack's settings, and says each."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.settings_reader import settings_from
from tools.rehearsal import api, configuration
from tools.rehearsal.layout import CHECKOUT
from tools.rehearsal.node_images import by_digest

OVER = configuration.overrides("prod", platform_url="http://10.213.77.1:18090", authorities=Path("/a/bundle.pem"))


def read(document: dict[str, Any], stack: str) -> Any:
    return settings_from(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in document["config"].items()}, stack
    )


@pytest.mark.parametrize("stack", ["dev", "staging", "prod"])
def test_an_example_with_the_rehearsal_s_settings_is_one_that_the_program_takes(stack: str) -> None:
    given = yaml.safe_load((CHECKOUT / "stacks" / f"{stack}.example.yaml").read_text(encoding="utf-8"))
    settings = read(configuration.document(given, OVER), stack)
    own = read(configuration.document(given, {}), stack)
    assert settings.target == "eks"
    assert settings.edge == own.edge
    assert settings.protection == own.protection
    assert settings.memorydb == own.memorydb
    assert settings.eks == own.eks
    assert settings.network.zones == own.network.zones
    assert settings.aws.endpoint_url == "http://10.213.77.1:443"


def test_a_model_of_a_hub_gives_way_to_the_bundled_one_and_the_rest_stays() -> None:
    given = {
        "config": {"assistant:model": {"source": "hf:a/b#c.gguf"}, "assistant:edge": {"domain": "a.example"}, "aws:x": "y"}
    }
    made = configuration.document(given, {"edge": {"zone": "example"}})
    assert made == {"config": {"aws:x": "y", "assistant:edge": {"domain": "a.example", "zone": "example"}}}


def test_a_later_change_keeps_what_the_engine_wrote() -> None:
    given = {"encryptionsalt": "v1:x", "config": {"assistant:protection": True}}
    assert configuration.changed(given, {"protection": False}) == {
        "encryptionsalt": "v1:x",
        "config": {"assistant:protection": False},
    }


def test_every_group_that_is_changed_has_its_reason() -> None:
    assert OVER.keys() <= configuration.REASONS.keys()
    assert configuration.flattened({"a": {"b": {"c": 1}, "d": True}}) == {"a.b.c": "1", "a.d": "true"}


def test_an_image_of_tag_and_digest_is_known_by_its_digest() -> None:
    assert by_digest("r.example:5000/a/b:v1@sha256:0") == "r.example:5000/a/b@sha256:0"
    assert by_digest("r.example:5000/a/b@sha256:0") == "r.example:5000/a/b@sha256:0"
    assert by_digest("r.example/a:v1") == "r.example/a:v1"


def test_a_secret_is_found_by_its_name_in_any_arn() -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:assistant/prod/api_key-1be139"
    assert api.name_in(arn) == "assistant/prod/api_key"
    assert api.name_in("assistant/prod/api_key") == "assistant/prod/api_key"
