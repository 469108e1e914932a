"""The stack's secrets get values, keep them, get new ones, and show none."""

from __future__ import annotations

import dataclasses

import pytest

from infra.aws.naming import secret_name
from infra.aws.secret_writing import stages_of, value_of
from infra.credentials import Credentials
from tools.aws import secrets
from tools.stack.engine import EngineError

NAMES = ("api_key", "inference_api_key", "redis_password", "token_key")


@pytest.fixture
def world(aws):
    """The stack's secrets, empty as Pulumi makes them, and MemoryDB's user without a password."""
    for name in (*NAMES, *secrets.PLATFORM_SECRETS, "slack_signing_secret", "slack_bot_token"):
        aws("secretsmanager").create_secret(Name=secret_name("prod", name))
    aws("memorydb").create_user(UserName="assistant", AuthenticationMode={"Type": "iam"}, AccessString="on ~* +@all")
    return aws


def run(engine, *rotate, show=False, user="assistant"):
    said, numbers = [], {}
    secrets.run(engine, secrets.Wanted(rotate=rotate, show=show), user, numbers.__setitem__, said.append)
    return "\n".join(said), numbers


def values(aws):
    return {name: value_of(aws("secretsmanager"), secret_name("prod", name)) for name in NAMES}


def passwords(aws):
    return aws("memorydb").describe_users(UserName="assistant")["Users"][0]["Authentication"]


def test_each_secret_without_a_value_gets_one_and_none_is_shown(world, make_engine):
    said, _ = run(make_engine())
    made = values(world)
    assert all(len(value) >= 43 for value in made.values()) and len(set(made.values())) == 4
    assert not any(value in said for value in made.values())
    assert "make up STACK=prod" in said


def test_the_queues_user_gets_the_same_password(world, make_engine):
    run(make_engine())
    assert passwords(world) == {"Type": "password", "PasswordCount": 1}


def test_a_second_run_changes_nothing(world, make_engine):
    run(make_engine())
    before = values(world)
    said, _ = run(make_engine())
    assert values(world) == before
    assert "make up" not in said


def test_a_value_that_somebody_wrote_by_hand_is_kept(world, make_engine):
    world("secretsmanager").put_secret_value(SecretId=secret_name("prod", "api_key"), SecretString="of-a-vault")
    run(make_engine())
    assert values(world)["api_key"] == "of-a-vault"


def test_rotating_replaces_that_value_and_raises_its_number(world, make_engine):
    run(make_engine())
    before = values(world)
    said, numbers = run(make_engine(), "api_key")
    after = values(world)
    assert {name for name in NAMES if before[name] != after[name]} == {"api_key"}
    assert numbers == {"api_key": 2}
    assert secrets.setting_of("api_key") == "secretVersions.apiKey"
    assert "make up STACK=prod" in said


def test_the_number_of_a_rotation_is_written_once(world, make_engine):
    """`make up` writes it again, with the number that `make secrets` has set, and after an interruption as well."""
    run(make_engine(), "api_key")
    before = values(world)
    run(make_engine(secretVersions={"apiKey": 2}))
    assert values(world) == before
    run(make_engine(secretVersions={"apiKey": 3}))
    assert values(world)["api_key"] != before["api_key"]


def test_a_configuration_that_lags_behind_a_rotation_begins_no_other(world, make_engine):
    run(make_engine(secretVersions={"apiKey": 3}))
    before = values(world)
    run(make_engine(secretVersions={"apiKey": 2}))
    assert values(world) == before


def test_one_version_alone_carries_a_label_so_that_old_values_are_forgotten(world, make_engine):
    for _ in range(3):
        run(make_engine(), "api_key")
    stages = stages_of(world("secretsmanager"), secret_name("prod", "api_key"))
    labels = [label for each in stages.values() for label in each if label.startswith("assistant-")]
    assert len(labels) == 1


def test_while_a_password_is_rotated_the_old_one_opens_too(world, make_engine):
    run(make_engine())
    run(make_engine(), "redis_password")
    assert passwords(world) == {"Type": "password", "PasswordCount": 2}


def test_a_user_that_was_made_anew_gets_the_password_that_there_is(world, make_engine):
    run(make_engine())
    before = values(world)
    world("memorydb").delete_user(UserName="assistant")
    world("memorydb").create_user(UserName="assistant", AuthenticationMode={"Type": "iam"}, AccessString="on ~* +@all")
    run(make_engine())
    assert passwords(world)["Type"] == "password"
    assert values(world) == before


def test_the_platforms_secrets_are_shown_on_demand_alone(world, make_engine):
    connected = make_engine(platforms={"generic": {"url": "https://platform.acme.dev"}})
    said, _ = run(connected)
    assert "whsec_" not in said and "SHOW=1" in said
    said, _ = run(connected, show=True)
    value = value_of(world("secretsmanager"), secret_name("prod", "generic_webhook_secret"))
    assert value.startswith("whsec_") and value in said


def test_a_queue_of_somebody_elses_has_its_own_user(world, make_engine):
    run(make_engine(redis={"url": "rediss://redis.acme.dev:6379/0"}), user=None)
    assert passwords(world)["Type"] != "password"


def test_the_password_of_a_queue_of_somebody_elses_is_asked_for_and_kept(world, make_engine):
    theirs = {"url": "rediss://redis.acme.dev:6379/0", "passwordSecret": "of-theirs"}
    with pytest.raises(EngineError, match="put-secret-value --secret-id assistant/prod/redis_password"):
        run(make_engine(redis=theirs), user=None)
    world("secretsmanager").put_secret_value(SecretId=secret_name("prod", "redis_password"), SecretString="theirs")
    run(make_engine(redis=theirs), user=None)
    run(make_engine(redis=theirs, secretVersions={"redisPassword": 2}), user=None)
    assert values(world)["redis_password"] == "theirs"


SLACK = {"slack": {}}


def test_what_a_platform_makes_is_asked_for_and_never_made_up(world, make_engine):
    with pytest.raises(EngineError, match="slack_bot_token, slack_signing_secret has not been entered") as told:
        run(make_engine(platforms=SLACK))
    assert "SLACK_BOT_TOKEN" in str(told.value)


def test_what_was_entered_is_written_kept_and_replaced_when_it_is_entered_anew(world, make_engine):
    engine = make_engine(platforms=SLACK)
    engine = dataclasses.replace(engine, environment={**engine.environment, "SLACK_SIGNING_SECRET": "from-the-environment"})
    entered = Credentials("prod", engine.checkout)
    entered.write("slack_bot_token", "xoxb-first")
    said, numbers = run(engine)
    kept = secret_name("prod", "slack_bot_token")
    assert value_of(world("secretsmanager"), kept) == "xoxb-first"
    assert value_of(world("secretsmanager"), secret_name("prod", "slack_signing_secret")) == "from-the-environment"
    assert "xoxb" not in said
    assert not numbers
    assert run(engine)[1] == {}
    entered.write("slack_bot_token", "xoxb-second")
    assert run(engine)[1] == {"slack_bot_token": 2}
    assert value_of(world("secretsmanager"), kept) == "xoxb-second"
    # Where nobody has the files, what is kept stays.
    entered.path("slack_bot_token").unlink()
    run(make_engine(platforms=SLACK, secretVersions={"slackBotToken": 3}))
    assert value_of(world("secretsmanager"), kept) == "xoxb-second"


def test_a_platforms_secret_is_not_rotated_without_the_new_one(world, make_engine):
    engine = make_engine(platforms=SLACK)
    for name in ("slack_bot_token", "slack_signing_secret"):
        Credentials("prod", engine.checkout).write(name, "x")
    run(engine)
    with pytest.raises(EngineError, match="Enter the new one first: make connect PLATFORM=slack STACK=prod"):
        run(engine, "slack_bot_token")


def test_a_new_key_of_tokens_keeps_the_one_before_it(world, make_engine):
    run(make_engine())
    (before,) = values(world)["token_key"].split()
    run(make_engine(), "token_key")
    new, kept = values(world)["token_key"].split()
    assert (kept, new == before) == (before, False)


def test_the_queues_user_is_the_one_that_the_state_names():
    user = {"type": "aws:memorydb/user:User", "outputs": {"userName": "assistant-prod"}}
    assert secrets.redis_user({"deployment": {"resources": [{"type": "aws:kms/key:Key"}, user]}}) == "assistant-prod"
    assert secrets.redis_user({"deployment": {}}) is None


def test_a_stack_that_is_not_up_is_told(account, make_engine):
    with pytest.raises(EngineError, match=r"assistant/prod/api_key is not in Secrets Manager yet: `make up` makes it"):
        run(make_engine())


def test_an_unknown_name_is_refused_with_those_that_there_are(world, make_engine):
    with pytest.raises(
        EngineError, match="api_kee is no secret of prod; it has api_key, inference_api_key, redis_password, token"
    ):
        run(make_engine(), "api_kee")
