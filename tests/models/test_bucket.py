"""Models through an S3 bucket over real sockets: published once, pulled whole or not at all, and nothing twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.models import manifest, pull
from app.models.bucket import Bucket, BucketBusyError, BucketError
from app.models.errors import StoreError
from app.models.manifest import FILE_NAME, FileRecord, Manifest
from app.models.store import Store

PLACE = "s3://assistant-models/of/dev"
PREFIX = "of/dev"
RECIPE = "5" * 64
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def converted(tiny_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory."""
    store = tmp_path_factory.mktemp("store")
    command = [sys.executable, "-m", "app.models", "--source", f"file:{tiny_gguf}", "--sha256", manifest.sha256_of(tiny_gguf)]
    done = subprocess.run(
        [*command, "--store", str(store), "--max-kl", "10", "--min-top1", "0"], capture_output=True, text=True, check=True
    )
    return Path(json.loads(done.stdout)["path"])


@pytest.fixture
def s3(aws: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client of the account that has one bucket; this process finds it too."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    client = aws.client("s3")
    client.create_bucket(Bucket="assistant-models", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    return client


@pytest.fixture
def published(s3: Any, converted: Path) -> Manifest:
    return Bucket(PLACE).publish(RECIPE, converted, manifest.load(converted), lambda *_: None)


def keys(s3: Any) -> set[str]:
    return {entry["Key"] for entry in s3.list_objects_v2(Bucket="assistant-models").get("Contents", [])}


@pytest.fixture
def start(aws: Any) -> Iterator[Start]:
    """``start(module, *arguments)``: ``python -m app.models…`` with the account's credentials."""
    running: list[subprocess.Popen[str]] = []

    def launch(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            env={**os.environ, **aws.environment, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        return process

    yield launch
    for process in running:
        process.kill()
        process.communicate()


def result(process: subprocess.Popen[str], status: int = 0) -> tuple[dict[str, Any], str]:
    out, error = process.communicate(timeout=90)
    assert process.returncode == status, error
    assert "Traceback" not in error
    return (json.loads(out) if out else {}), error


def test_a_conversion_publishes_and_a_pull_gives_the_same_directory(
    s3: Any, start: Start, command: Any, tmp_path: Path
) -> None:
    made, error = result(start("app.models", *command.arguments, "--publish", PLACE))
    assert made["made"] is True
    assert made["path"] == f"{PLACE}/models/{made['digest']}/"
    assert f"[100%] done: {made['path']}" in error
    (recipe,) = [key for key in keys(s3) if "/recipes/" in key]
    files = {f"{PREFIX}/models/{made['digest']}/{name}" for name in ("model.onnx", "model.onnx.data", "tokenizer.json")}
    assert keys(s3) == files | {recipe}
    key = recipe.removeprefix(f"{PREFIX}/recipes/").removesuffix(".json")

    pulled, _ = result(start("app.models.pull", PLACE, key, "--into", str(tmp_path / "models")))
    link = tmp_path / "models" / ".recipes" / key
    assert pulled == {"path": str(link.resolve()), "name": made["name"], "digest": made["digest"], "downloaded": True}
    assert manifest.verify(link).digest == made["digest"]
    local = command.store / made["digest"]
    for path in local.iterdir():
        assert (link / path.name).read_bytes() == path.read_bytes()

    # A new node that converts: nothing to do, the scratch store stays empty.
    shutil.rmtree(command.store)
    again, _ = result(start("app.models", *command.arguments, "--publish", PLACE))
    assert again == made | {"made": False}
    assert not command.store.exists()


def test_what_is_published_must_pass_the_gate_of_who_asks(s3: Any, command: Any) -> None:
    assert command.run("--publish", PLACE)[0] == 0
    status, _, error = command.run("--publish", PLACE, "--max-kl", "0", "--min-top1", "1")
    assert status == 3
    assert "strays too far" in error


def test_a_second_pull_downloads_nothing_and_needs_no_bucket(
    s3: Any, published: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    assert pull.pull(Bucket(PLACE), RECIPE, store, 10, lambda *_: None)[2] is True
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    path, model, downloaded = pull.pull(Bucket(PLACE), RECIPE, store, 10, lambda *_: None)
    assert (model.digest, downloaded) == (published.digest, False)
    assert path == tmp_path / published.digest


def test_a_damaged_directory_is_downloaded_again(s3: Any, published: Manifest, tmp_path: Path) -> None:
    store = Store(tmp_path)
    path, *_ = pull.pull(Bucket(PLACE), RECIPE, store, 10, lambda *_: None)
    weights = bytearray((path / "model.onnx.data").read_bytes())
    weights[7] ^= 1
    (path / "model.onnx.data").write_bytes(weights)
    path, _, downloaded = pull.pull(Bucket(PLACE), RECIPE, store, 10, lambda *_: None)
    assert downloaded
    assert manifest.verify(path)


@pytest.mark.parametrize("how", ["flipped", "cut", "gone"])
def test_an_object_that_is_another_is_never_linked(
    s3: Any, published: Manifest, start: Start, tmp_path: Path, how: str
) -> None:
    key = f"{PREFIX}/models/{published.digest}/model.onnx.data"
    content = bytearray(s3.get_object(Bucket="assistant-models", Key=key)["Body"].read())
    if how == "gone":
        s3.delete_object(Bucket="assistant-models", Key=key)
    else:
        content[len(content) // 2] ^= 1
        s3.put_object(Bucket="assistant-models", Key=key, Body=bytes(content if how == "flipped" else content[:-1]))
    _, error = result(start("app.models.pull", PLACE, RECIPE, "--into", str(tmp_path / "models")), status=1)
    assert f"s3://assistant-models/{key}" in error
    assert "publish the model again" in error
    assert not (tmp_path / "models" / ".recipes" / RECIPE).exists()
    assert [path for path in (tmp_path / "models").iterdir() if not path.name.startswith(".")] == []
    assert list((tmp_path / "models" / ".work").iterdir()) == []


def large(converted: Path, folder: Path, size: int) -> tuple[Path, Manifest]:
    """The model with one file more, which takes a while."""
    directory = Path(shutil.copytree(converted, folder / "large"))
    model = manifest.load(directory)
    (directory / "zeros.bin").write_bytes(bytes(size))
    record = FileRecord(sha256=manifest.sha256_of(directory / "zeros.bin"), size=size)
    files = model.files | {"zeros.bin": record}
    digest = manifest.content_digest(model.source.sha256, model.architecture, model.precision, files, model.tokenizer)
    model = model.model_copy(update={"files": files, "digest": digest})
    (directory / FILE_NAME).write_text(manifest.dump(model), encoding="utf-8")
    return directory, model


PUBLISH = """
import sys
from pathlib import Path
from app.models import manifest
from app.models.bucket import Bucket
directory = Path(sys.argv[1])
Bucket(sys.argv[2]).publish(sys.argv[3], directory, manifest.load(directory), lambda share, what: print(share, flush=True))
"""


def test_an_upload_that_is_killed_points_at_nothing_and_the_next_goes_on_from_there(
    s3: Any, aws: Any, converted: Path, tmp_path: Path
) -> None:
    directory, model = large(converted, tmp_path, 96 << 20)
    arguments = [sys.executable, "-c", PUBLISH, str(directory), PLACE, RECIPE]
    process = subprocess.Popen(arguments, env={**os.environ, **aws.environment}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while float(process.stdout.readline()) < 0.2:  # several parts of the large file are there
        pass
    process.kill()
    process.communicate()
    small = f"{PREFIX}/models/{model.digest}/model.onnx"
    assert small in keys(s3)
    assert not [key for key in keys(s3) if "/recipes/" in key or key.endswith("zeros.bin")]
    with pytest.raises(BucketError, match=r"not there yet.*given up after 0 seconds"):
        pull.pull(Bucket(PLACE), RECIPE, Store(tmp_path / "store"), 0, lambda *_: None)

    before = s3.head_object(Bucket="assistant-models", Key=small)["LastModified"]
    time.sleep(1)  # S3's clock has seconds
    Bucket(PLACE).publish(RECIPE, directory, model, lambda *_: None)
    assert s3.head_object(Bucket="assistant-models", Key=small)["LastModified"] == before
    path, *_ = pull.pull(Bucket(PLACE), RECIPE, Store(tmp_path / "store"), 30, lambda *_: None)
    assert manifest.verify(path).digest == model.digest


def test_of_two_conversions_the_first_pointer_stays(s3: Any, published: Manifest, converted: Path, tmp_path: Path) -> None:
    """Two machines may give different bytes of one recipe; who reads sees one of the two, whole."""
    directory, other = large(converted, tmp_path, 10)
    assert Bucket(PLACE).publish(RECIPE, directory, other, lambda *_: None) == published
    assert Bucket(PLACE).recipe(RECIPE) == published


def test_who_comes_before_the_model_waits_for_it(s3: Any, start: Start, converted: Path, tmp_path: Path) -> None:
    process = start("app.models.pull", PLACE, RECIPE, "--into", str(tmp_path / "models"), "--seconds", "60")
    assert process.stderr is not None
    assert f"{PLACE}/recipes/{RECIPE}.json is not there yet" in process.stderr.readline()
    Bucket(PLACE).publish(RECIPE, converted, manifest.load(converted), lambda *_: None)
    found, _ = result(process)
    assert found["downloaded"] is True


def test_two_pods_of_one_node_download_once(s3: Any, published: Manifest, start: Start, tmp_path: Path) -> None:
    arguments = ("app.models.pull", PLACE, RECIPE, "--into", str(tmp_path / "models"))
    found = [result(process)[0]["downloaded"] for process in [start(*arguments), start(*arguments)]]
    assert sorted(found) == [False, True]


def test_a_pull_that_is_told_to_stop_leaves_nothing(s3: Any, start: Start, tmp_path: Path) -> None:
    process = start("app.models.pull", PLACE, RECIPE, "--into", str(tmp_path / "models"))
    assert process.stderr is not None
    process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 128 + signal.SIGTERM
    assert not (tmp_path / "models" / ".recipes").exists()


def test_a_disk_that_is_too_small_is_said_before_anything_comes(
    s3: Any, published: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.models.pull.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(StoreError, match="the model needs"):
        pull.pull(Bucket(PLACE), RECIPE, Store(tmp_path), 10, lambda *_: None)


def test_a_role_without_rights_is_told_at_once_what_it_needs(aws: Any, s3: Any, published: Manifest, start: Start) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="pod")
    key = iam.create_access_key(UserName="pod")["AccessKey"]
    aws.check_policies(after=0)
    keys = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    _, error = result(start("app.models.pull", PLACE, RECIPE, "--into", "/nonexistent", environment=keys), status=1)
    assert "s3:ListBucket" in error


def test_a_bucket_that_is_not_there_is_not_waited_for(s3: Any) -> None:
    with pytest.raises(BucketError, match="there is no bucket another-bucket") as error:
        Bucket("s3://another-bucket").recipe(RECIPE)
    assert not isinstance(error.value, BucketBusyError)


def test_an_s3_that_is_away_is_waited_for(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0)
    with pytest.raises(BucketBusyError, match="S3 is not reachable"):
        Bucket(PLACE).recipe(RECIPE)


def test_a_pointer_that_leads_out_of_the_model_is_refused(s3: Any, published: Manifest, tmp_path: Path) -> None:
    key = f"{PREFIX}/recipes/{RECIPE}.json"
    content = json.loads(s3.get_object(Bucket="assistant-models", Key=key)["Body"].read())
    content["files"]["../../evil"] = content["files"]["model.onnx"]
    s3.put_object(Bucket="assistant-models", Key=key, Body=json.dumps(content))
    with pytest.raises(manifest.ManifestError, match="names files outside the model directory"):
        pull.pull(Bucket(PLACE), RECIPE, Store(tmp_path), 10, lambda *_: None)


@pytest.mark.parametrize("uri", ["s3://", "s3://UPPER", "bucket/x", "s3://bucket//x", "s3://bucket/a b", "https://bucket"])
def test_what_is_no_bucket(uri: str) -> None:
    with pytest.raises(BucketError, match="s3://bucket/prefix is allowed"):
        Bucket(uri)


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/", "s3://bucket/a/b.c-d/"])
def test_what_is_a_bucket(uri: str) -> None:
    assert Bucket(uri).name == "bucket"


def test_wrong_usage(command: Any) -> None:
    for arguments in (["s3://bucket", "no-key", "--into", "/x"], ["s3://bucket", RECIPE, "--into", "/x", "--seconds", "-1"]):
        with pytest.raises(SystemExit, match="2"):
            pull.main(arguments)
    assert command.run("--publish", PLACE, "--link", "current")[0] == 2
