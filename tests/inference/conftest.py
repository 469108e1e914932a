"""A tiny model, made by the real exporter from random weights, and the service as a real process."""

from __future__ import annotations

import dataclasses
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from tokenizers import AddedToken, Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

from app.models import default, graph, manifest, onnx_file
from app.models.store import default_root
from app.models.weights import Weights

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CONTEXT = 16384
KEY = "key-of-the-tests"


class RandomWeights(Weights):
    """Random matrices of the right shapes, without a GGUF file."""

    def __init__(self, architecture: manifest.Architecture, seed: int = 3) -> None:
        self.architecture, self.tied = architecture, False
        self._random = np.random.default_rng(seed)
        self._made: dict[object, NDArray[np.float32]] = {}

    def _matrix(self, key: object, rows: int, columns: int, scale: float = 1.0) -> NDArray[np.float32]:
        if key not in self._made:
            values = self._random.normal(0, scale / columns**0.5, (rows, columns)).astype(np.float32)
            self._made[key] = values
        return self._made[key]

    def embedding(self) -> NDArray[np.float32]:
        return self._matrix("embedding", self.architecture.vocab_size, self.architecture.hidden_size, scale=8)

    def output(self) -> NDArray[np.float32]:
        values = self._matrix("output", self.architecture.vocab_size, self.architecture.hidden_size, scale=4)
        values[: len(SPECIAL)] = 0  # greedy decoding never ends by itself: the largest of 300 others is above 0
        return values

    def output_norm(self) -> NDArray[np.float32]:
        return np.ones(self.architecture.hidden_size, np.float32)

    def attention_norm(self, layer: int) -> NDArray[np.float32]:
        return self.output_norm()

    def mlp_norm(self, layer: int) -> NDArray[np.float32]:
        return self.output_norm()

    def qkv(self, layer: int) -> NDArray[np.float32]:
        a = self.architecture
        return self._matrix(("qkv", layer), (a.heads + 2 * a.kv_heads) * a.head_size, a.hidden_size, scale=2)

    def attention_output(self, layer: int) -> NDArray[np.float32]:
        a = self.architecture
        return self._matrix(("attention_output", layer), a.hidden_size, a.heads * a.head_size, scale=2)

    def gate_up(self, layer: int) -> NDArray[np.float32]:
        return self._matrix(("gate_up", layer), 2 * self.architecture.intermediate_size, self.architecture.hidden_size)

    def down(self, layer: int) -> NDArray[np.float32]:
        return self._matrix(("down", layer), self.architecture.hidden_size, self.architecture.intermediate_size)


def write_tokenizer(path: Path) -> int:
    """256 bytes and three special tokens; returns the size of the vocabulary."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*SPECIAL, *alphabet])}
    tokenizer = Tokenizer(BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    tokenizer.save(str(path))
    return len(vocabulary)


def write_model(directory: Path, precision: manifest.Precision, end_ids: list[int] | None = None) -> Path:
    """A model directory as the exporter writes it: graph, weights, tokenizer, manifest with true digests."""
    directory.mkdir(parents=True)
    vocabulary = write_tokenizer(directory / "tokenizer.json")
    architecture = manifest.Architecture(
        family="llama",
        layers=2,
        hidden_size=64,
        intermediate_size=128,
        heads=4,
        kv_heads=2,
        head_size=16,
        vocab_size=vocabulary,
        context_length=CONTEXT,
        rope_theta=10_000.0,
        rms_norm_epsilon=1e-5,
    )
    weights = RandomWeights(architecture)
    files = onnx_file.write(graph.build(weights, precision), directory)
    tokenizer_path = directory / "tokenizer.json"
    files["tokenizer.json"] = manifest.FileRecord(sha256=manifest.sha256_of(tokenizer_path), size=tokenizer_path.stat().st_size)
    tokenizer = manifest.TokenizerRecord(bos=1, eos_ids=end_ids or [0, 2], add_bos=False, chat_template=TEMPLATE)
    source = manifest.SourceRecord(uri="file:random", sha256="0" * 64, licence="none")
    thresholds = manifest.Thresholds(max_kl=1, min_top1=0)
    made = manifest.Manifest(
        name="tiny-random",
        digest=manifest.content_digest(source.sha256, architecture, precision, files, tokenizer),
        source=source,
        architecture=architecture,
        precision=precision,
        files=files,
        tokenizer=tokenizer,
        gate=manifest.Gate(kl=0, top1=1, perplexity_fp32=1, perplexity=1, tokens=1, thresholds=thresholds),
        versions={},
        sizes=manifest.Sizes(parameters=1, bytes=1),
    )
    (directory / manifest.FILE_NAME).write_text(manifest.dump(made), encoding="utf-8")
    return directory


@pytest.fixture(scope="session")
def tiny_fp32(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "fp32", "fp32")


@pytest.fixture(scope="session")
def tiny_int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "int8", "int8")


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """A tiny model of the test's own, to be changed or damaged."""
    made = iter(range(1000))

    def make(precision: manifest.Precision = "int8", end_ids: list[int] | None = None) -> Path:
        return write_model(tmp_path / f"model-{next(made)}", precision, end_ids)

    return make


@pytest.fixture(scope="session")
def default_model() -> Path:
    """The converted default model: ASSISTANT_TEST_MODEL, else the newest of its name in the store."""
    if given := os.environ.get("ASSISTANT_TEST_MODEL"):
        return Path(given)
    found = []
    for path in default_root(os.environ).glob(f"*/{manifest.FILE_NAME}"):
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.get("name") == default.NAME and content.get("precision") == "int8":
            found.append(path)
    if not found:
        pytest.skip("the default model is not converted: run `python -m app.models`")
    return max(found, key=lambda path: path.stat().st_mtime).parent


@dataclasses.dataclass
class Service:
    """``python -m app.inference`` as a process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {KEY}"}

    def predict(self, prompt: str = "Hi", **fields: Any) -> httpx2.Response:
        body = {"prompt": prompt, **fields}
        return httpx2.post(self.url + "/predict", json=body, headers=self.headers, timeout=60)

    def text(self, prompt: str = "Hi", **fields: Any) -> str:
        response = self.predict(prompt, **fields)
        assert response.status_code == 200, response.text
        return str(response.json()["prediction"])

    def begin(self, prompt: str = "Hi", **fields: Any) -> http.client.HTTPConnection:
        """Send a request and do not wait for its answer; closing the connection is hanging up."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        body = json.dumps({"prompt": prompt, **fields})
        connection.request("POST", "/predict", body, {**self.headers, "Content-Type": "application/json"})
        return connection

    def await_status(self, path: str, status: int, seconds: float = 30) -> httpx2.Response:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                response = httpx2.get(self.url + path)
            except httpx2.TransportError:
                response = None
            if response is not None and response.status_code == status:
                return response
            time.sleep(0.02)
        pytest.fail(f"{path} is not {status}:\n{self.log.read_text()[-3000:]}")

    def await_record(self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 10) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for record in self.records():
                if wanted(record):
                    return record
            time.sleep(0.02)
        pytest.fail(f"no such record:\n{self.log.read_text()[-3000:]}")

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def running(self) -> int:
        return int(httpx2.get(self.url + "/readyz").json()["running"])

    def await_running(self, count: int, seconds: float = 10) -> float:
        """Seconds until ``count`` sequences hold a slot."""
        begin = time.monotonic()
        while self.running() != count:
            assert time.monotonic() - begin < seconds, f"{self.running()} run, {count} expected"
            time.sleep(0.01)
        return time.monotonic() - begin

    def terminate(self, seconds: float = 10) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)


def _start(folder: Path, model: Path, variables: dict[str, object]) -> Service:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    environment = {**os.environ, "API_KEY": KEY, "MODEL_PATH": str(model), "PORT": str(port)}
    environment |= {name: str(value) for name, value in variables.items()}
    log = folder / f"inference-{port}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen([sys.executable, "-m", "app.inference"], stderr=stream, env=environment)
    return Service(process, port, log)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service on a model; settings as keyword arguments in capitals."""
    started: list[Service] = []

    def begin(model: Path, *, await_ready: bool = True, **variables: object) -> Service:
        service = _start(tmp_path, model, variables)
        started.append(service)
        if await_ready:
            service.await_status("/readyz", 200)
        return service

    yield begin
    for service in started:
        service.process.kill()
        service.process.wait()


@pytest.fixture(scope="module")
def tiny(tiny_int8: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service on the tiny INT8 model for a module's tests: 4 slots, a queue of 2."""
    variables = {
        "INFERENCE_SLOTS": 4,
        "INFERENCE_QUEUE_LIMIT": 2,
        "INFERENCE_CONTEXT": CONTEXT,
        "INFERENCE_MAX_TOKENS": CONTEXT,
    }
    service = _start(tmp_path_factory.mktemp("service"), tiny_int8, variables)
    service.await_status("/readyz", 200)
    yield service
    service.process.kill()
    service.process.wait()


@pytest.fixture(scope="module")
def model_service(default_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The default model with 4 slots."""
    service = _start(tmp_path_factory.mktemp("service"), default_model, {"INFERENCE_SLOTS": 4})
    service.await_status("/readyz", 200, seconds=90)
    yield service
    service.process.kill()
    service.process.wait()
