"""A preview with stand-ins touches nothing of the stack, and knows of no account."""

from __future__ import annotations

from pathlib import Path

from tools.aws import means, standins

CHECKOUT = Path(__file__).resolve().parents[3]
ENCRYPTED = """\
# mine
config:
  assistant:edge: {domain: a.acme.dev, zone: acme.dev} # keep
secretsprovider: awskms:///alias/x?region=eu-central-1
encryptedkey: QUJD
encryptionsalt: v1:abc
"""


def checkout(folder: Path) -> None:
    (folder / "Pulumi.yaml").write_text("name: assistant\nruntime: python\n")
    (folder / "infra").mkdir()
    (folder / "policies").mkdir()


def test_the_copy_has_the_settings_and_another_state_and_key(make_engine, tmp_path):
    engine = make_engine(environment={"PULUMI_CONFIG_PASSPHRASE_FILE": "/home/me/passphrase"})
    checkout(tmp_path)
    engine.configuration.write_text(ENCRYPTED)
    with standins.throwaway(engine) as copy:
        text = copy.configuration.read_text()
        assert "# mine" in text and "# keep" in text
        assert "secretsprovider" not in text and "encryptedkey" not in text and "encryptionsalt" not in text
        assert (copy.checkout / "infra").resolve() == tmp_path / "infra"
        assert copy.environment["PULUMI_BACKEND_URL"] == f"file://{copy.checkout}/state"
        assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in copy.environment
        assert len(copy.environment["PULUMI_CONFIG_PASSPHRASE"]) >= 32
        folder = copy.checkout
    assert not folder.exists()
    assert engine.configuration.read_text() == ENCRYPTED


def test_a_clean_clone_has_its_example(make_engine, tmp_path):
    engine = make_engine()
    checkout(tmp_path)
    engine.configuration.rename(engine.example)
    with standins.throwaway(engine) as copy:
        assert copy.settings().edge.domain == "assistant.acme.dev"
    assert not engine.configuration.exists()


def test_stand_ins_come_first_and_no_account_is_left(make_engine):
    given = {"AWS_PROFILE": "work", "AWS_ENDPOINT_URL": "http://x", "KUBECONFIG": "/x", "AWS_SECRET_ACCESS_KEY": "mine"}
    environment = standins.on_standins(make_engine(environment=given), CHECKOUT).environment
    folders = environment["PATH"].split(":")[:3]
    assert folders == [str(CHECKOUT / "tests/providers" / name) for name in ("aws", "docker_build", "kubernetes")]
    for name in ("aws", "docker-build", "kubernetes"):
        assert any((Path(folder) / f"pulumi-resource-{name}").exists() for folder in folders)
    assert environment[means.DECLARED] == "1"
    assert environment["AWS_SECRET_ACCESS_KEY"] != "mine"
    assert not {"AWS_PROFILE", "AWS_ENDPOINT_URL", "KUBECONFIG"} & set(environment)
