"""What processes are told of platforms, people and answers, whatever the target."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra import processes
from infra.credentials import NAMES, wanted
from infra.processes import Caller, Told
from infra.settings import Settings
from infra.settings_reader import settings_from

EVERYTHING: dict[str, Any] = {
    "platforms": {"slack": {"transport": "socketMode", "clientId": "1.2"}, "feishu": {"appId": "cli_a"}},
    "identityProvider": {"issuer": "https://id.example.com", "audience": "assistant"},
}


def settings(**groups: Any) -> Settings:
    return settings_from({f"assistant:{key}": json.dumps(value) for key, value in groups.items()}, "local")


def test_a_default_stack_is_told_nothing_but_its_key_of_tokens() -> None:
    default = settings()
    told = Told(secrets={"TOKEN_KEY": "token_key"})
    assert processes.public_url_of(default, "https://localhost:8443") is None
    assert processes.gateway(default, None) == processes.worker(default) == told
    assert processes.transports(default) == processes.callers(default) == ()
    assert processes.webhook_urls(default, "https://localhost:8443") == {}
    assert processes.redirect_uris(default, "https://localhost:8443") is None


def test_of_answers_that_is_told_which_the_stack_says_and_each_number_as_it_was_given() -> None:
    answers = {"cacheSeconds": 0.5, "cacheEntries": 1_234_567, "contextCharacters": 1_000_000}
    assert processes.worker(settings(answers=answers)).environment == {
        "ANSWER_CACHE_SECONDS": "0.5",
        "ANSWER_CACHE_ENTRIES": "1234567",
        "CONTEXT_CHARACTERS": "1000000",
    }


@pytest.mark.parametrize("slack", ["webhook", "socketMode"])
@pytest.mark.parametrize("feishu", ["webhook", "longConnection"])
@pytest.mark.parametrize("client", [{}, {"clientId": "1.2"}])
def test_whatever_a_platform_needs_is_read_by_some_process(slack: str, feishu: str, client: dict[str, str]) -> None:
    chosen = settings(platforms={"slack": {"transport": slack, **client}, "feishu": {"appId": "cli_a", "transport": feishu}})
    told = [processes.gateway(chosen, None, NAMES.keys()), processes.worker(chosen, NAMES.keys())]
    told += [processes.transport(chosen, part) for part in processes.transports(chosen)]
    names = wanted(chosen.platforms)
    assert {name for each in told for name in each.secrets.values()} == {*names.required, *names.optional, "token_key"}


def test_who_calls_what_is_listed_once_for_each_connection() -> None:
    assert processes.callers(settings(**EVERYTHING)) == (
        Caller("worker", "https://slack.com/api/", "answer on Slack"),  # and Feishu, on the same port of the world
        Caller("gateway", "https://slack.com/api/", "install the Slack application"),
        Caller("slack-transport", "https://slack.com/api/", "receive events"),
    )


def test_an_application_of_one_workspace_is_installed_by_nobody_else() -> None:
    assert processes.installable(settings(platforms={"slack": {}})) == ()
    assert processes.installable(settings(**EVERYTHING)) == ("slack", "feishu")
