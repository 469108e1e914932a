"""What the commands do for a stack on AWS: refused with nothing changed, or said aloud."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.aws import place, preflight, protection
from tools.aws.means import DECLARED, Identity, Means
from tools.aws.place import OnAws
from tools.pulumi.environment import engine_environment, own_backend
from tools.stack.engine import Engine, EngineError
from tools.stack.place import InCluster, OnMachine, place_of

CHECKOUT = Path(__file__).resolve().parents[3]
REAL = Means(identity=Identity(account="123456789012", arn="arn:aws:iam::123456789012:role/deployer"))
STANDINS = Means(standins=True, lacking=("the plugins aws are stand-ins",))


@pytest.fixture
def found(monkeypatch):
    """The means that are there."""

    def use(means):
        monkeypatch.setattr(place.means, "find", lambda *_: means)

    return use


@pytest.fixture
def untouched(monkeypatch, tmp_path):
    """Fails where the engine is run at all."""
    monkeypatch.setattr(Engine, "_capture", lambda *_: pytest.fail("the engine was run"))


@pytest.mark.parametrize(
    ("stack", "config", "kind"),
    [
        ("prod", {}, OnAws),
        ("serverless", {}, OnAws),
        ("trial", {"profile": "dev"}, OnAws),
        ("trial", {"target": "cluster"}, InCluster),
        ("local", {}, OnMachine),
    ],
)
def test_the_place_goes_by_target_profile_or_name(make_engine, stack, config, kind):
    assert type(place_of(make_engine(stack, **config))) is kind


class TestUp:
    def test_it_is_refused_without_plugins_and_credentials(self, make_engine, found, untouched):
        found(Means(lacking=("AWS credentials: none found", "Pulumi's plugin aws")))
        for act in (lambda on, engine: on.before_up(engine), lambda on, engine: on.before_down(engine)):
            with pytest.raises(EngineError) as refused:
                act(OnAws(), make_engine(environment={"PULUMI_BACKEND_URL": "s3://bucket"}))
            for words in ("AWS credentials", "plugin aws", "Nothing was changed", "make preview STACK=prod"):
                assert words in str(refused.value)

    def test_a_stack_without_a_configuration_is_told_how_to_begin(self, make_engine, found, untouched, tmp_path):
        found(REAL)
        engine = make_engine()
        (tmp_path / "Pulumi.yaml").touch()
        engine.configuration.rename(engine.example)
        with pytest.raises(EngineError, match=r"cp stacks/prod.example.yaml stacks/Pulumi.prod.yaml"):
            OnAws().before_up(engine)
        assert not engine.configuration.exists()

    def test_production_does_not_go_to_this_machines_disk(self, make_engine, found, untouched):
        found(REAL)
        with pytest.raises(EngineError, match="make bootstrap STACK=prod"):
            OnAws().before_up(make_engine())

    def test_what_the_preflight_refuses_is_refused(self, make_engine, found, untouched, monkeypatch):
        found(REAL)
        monkeypatch.setattr(preflight, "dynamic", lambda *_: [])
        engine = make_engine(
            environment={"ASSISTANT_ALLOW_LOCAL_STATE": "1"}, edge={"domain": "a.example.com", "zone": "example.com"}
        )
        with pytest.raises(EngineError, match="Nothing was changed: example values"):
            OnAws().before_up(engine)

    def test_stand_ins_do_not_write_into_the_checkouts_own_state(self, make_engine, found, untouched, tmp_path):
        found(STANDINS)
        engine = make_engine(environment={"PULUMI_BACKEND_URL": own_backend(tmp_path / ".state"), DECLARED: "1"})
        with pytest.raises(EngineError, match="Stand-ins would write"):
            OnAws().before_up(engine)

    def test_a_rehearsal_goes_on_and_says_first_and_last_what_it_is(self, make_engine, found, monkeypatch, capsys):
        found(STANDINS)
        monkeypatch.setattr(Engine, "prepare", lambda self: None)
        engine = make_engine(environment={DECLARED: "1"}, edge={"domain": "a.example.com", "zone": "example.com"})
        OnAws().after_up(OnAws().before_up(engine))
        assert capsys.readouterr().err.count("STAND-INS, NOT AWS") == 2


class TestPreview:
    def test_before_the_bootstrap_it_makes_no_stack_on_this_machines_disk(self, make_engine, found, monkeypatch, tmp_path):
        found(REAL)
        prepared = []
        monkeypatch.setattr(Engine, "prepare", lambda self: prepared.append(self.environment["PULUMI_BACKEND_URL"]))
        (tmp_path / "Pulumi.yaml").touch()
        engine = make_engine()
        with OnAws().previewed(engine) as copy:
            assert copy.checkout != engine.checkout
        assert prepared == [f"file://{copy.checkout}/state"]

    def test_of_a_stack_in_a_bucket_it_is_the_stacks_own(self, make_engine, found, monkeypatch):
        found(REAL)
        monkeypatch.setattr(Engine, "prepare", lambda self: None)
        engine = make_engine(environment={"PULUMI_BACKEND_URL": "https://api.pulumi.com"})
        with OnAws().previewed(engine) as prepared:
            assert prepared is engine


class TestRefresh:
    def test_it_makes_no_stack(self, make_engine, found, monkeypatch):
        found(REAL)
        monkeypatch.setattr(Engine, "exists", lambda _: False)
        with pytest.raises(EngineError, match="There is no stack prod yet"):
            OnAws().ready(make_engine(), "Looking at")


class TestDown:
    STATE = {  # noqa: RUF012
        "deployment": {
            "resources": [
                {"urn": "urn:pulumi:prod::assistant::aws:kms/key:Key::data", "type": "aws:kms/key:Key", "protect": True},
                {"urn": "urn:pulumi:prod::assistant::aws:ec2/vpc:Vpc::network", "type": "aws:ec2/vpc:Vpc"},
            ]
        }
    }

    def test_what_is_protected_is_explained_and_stays(self, make_engine, found, monkeypatch):
        found(REAL)
        monkeypatch.setattr(Engine, "exists", lambda _: True)
        monkeypatch.setattr(Engine, "read", lambda *_, **__: json.dumps(self.STATE))
        with pytest.raises(EngineError) as refused:
            OnAws().before_down(make_engine())
        for words in (
            "data (aws:kms/key:Key)",
            "KEY=protection VALUE=false",
            "make up STACK=prod UNPROTECT=1",
            "make down STACK=prod",
            "Nothing was changed",
        ):
            assert words in str(refused.value)
        assert "Vpc" not in str(refused.value)

    @pytest.mark.parametrize(
        ("hooks", "with_program"),
        [
            ({"BeforeDelete": ["assistant-drain"], "AfterCreate": ["assistant-resume"]}, "true"),
            ({"AfterCreate": ["assistant-resume"]}, "false"),
            (None, "false"),
        ],
    )
    def test_the_program_runs_for_as_long_as_something_is_to_be_drained(
        self, make_engine, found, monkeypatch, hooks, with_program
    ):
        """Later, with a part gone, it would be handed nothing for the outputs of what is gone."""
        found(REAL)
        drain = {
            "urn": "urn:pulumi:prod::assistant::kubernetes:core/v1:ConfigMap::drain-first",
            "type": "kubernetes:core/v1:ConfigMap",
        }
        state = {"deployment": {"resources": [{**drain, **({"resourceHooks": hooks} if hooks else {})}]}}
        monkeypatch.setattr(Engine, "exists", lambda _: True)
        monkeypatch.setattr(Engine, "read", lambda *_, **__: json.dumps(state))
        prepared = OnAws().before_down(make_engine())
        assert prepared is not None
        assert prepared.environment["PULUMI_RUN_PROGRAM"] == with_program

    def test_a_stack_that_is_not_there_needs_no_account(self, make_engine, found, monkeypatch):
        found(Means(lacking=("AWS credentials: none found",)))
        monkeypatch.setattr(Engine, "exists", lambda _: False)
        assert OnAws().before_down(make_engine()) is None

    def test_its_settings_outlive_it_without_the_key_they_were_encrypted_by(self, make_engine):
        engine = make_engine()
        before = engine.configuration.read_text()
        engine.configuration.write_text(f"{before}secretsprovider: awskms:///alias/x\nencryptedkey: QUJD\n")
        assert OnAws().cleaned(engine) is False
        assert engine.configuration.read_text() == before

    def test_a_long_list_is_cut(self, make_engine):
        names = [f"bucket-{number} (aws:s3/bucket:Bucket)" for number in range(20)]
        assert "and 8 more" in protection.explained(make_engine(), names)

    def test_an_empty_state_has_nothing_protected(self):
        assert protection.protected_in({"deployment": {}}) == []


def real_engine(engine, tmp_path):
    """The engine of this machine, on a checkout of the test's own."""
    shutil.copyfile(CHECKOUT / "Pulumi.yaml", tmp_path / "Pulumi.yaml")
    for folder in ("infra", "policies"):
        (tmp_path / folder).symlink_to(CHECKOUT / folder)
    path = engine_environment(CHECKOUT, environment=engine.environment)["PATH"]
    return dataclasses.replace(engine, environment={**engine.environment, "PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "1"})


@pytest.mark.engine
def test_a_setting_is_written_without_the_states_bucket_or_key(make_engine, tmp_path):
    away = {"PULUMI_BACKEND_URL": "s3://a-bucket-that-is-not-there?region=eu-central-1", "AWS_EC2_METADATA_DISABLED": "true"}
    engine = real_engine(make_engine(environment=away), tmp_path)
    engine.configuration.write_text(
        "# mine\nconfig:\n  assistant:edge: # keep\n    domain: a.acme.dev\n"
        "secretsprovider: awskms:///alias/x\nencryptedkey: QUJD\n"
    )
    OnAws().set(engine, "gpuPools[0].name", "l4")
    OnAws().set(engine, "secretVersions.apiKey", "2")
    document = engine.document()
    assert document["config"]["assistant:gpuPools"] == [{"name": "l4"}]
    assert document["config"]["assistant:secretVersions"] == {"apiKey": 2}
    assert (document["secretsprovider"], document["encryptedkey"]) == ("awskms:///alias/x", "QUJD")
    text = engine.configuration.read_text()
    assert "# mine" in text and "# keep" in text and "encryptionsalt" not in text


@pytest.mark.engine
@pytest.mark.parametrize("stack", ["prod", "serverless"])
def test_a_clean_clone_previews_without_an_account_and_says_so_first_and_last(no_account, stack):
    """By the command itself, of this checkout: its example is taken where it has no configuration, and nothing is left."""
    before = sorted((CHECKOUT / "stacks").iterdir())
    done = subprocess.run(
        [CHECKOUT / ".venv/bin/python", "-m", "tools.stack", "--stack", stack, "preview"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert done.stderr.count("A PREVIEW WITH STAND-INS, NOT WITH AWS") == 2
    assert "to create" in done.stdout
    assert sorted((CHECKOUT / "stacks").iterdir()) == before
