"""Every environment variable of the application, once.

A process reads its settings a single time, at its start, with :func:`load`. Each secret is taken from ``NAME`` or, better,
from the file that ``NAME_FILE`` points at, so that no secret needs to stand in an environment. All mistakes are reported
together and name the variable; the value of a secret is never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator

Port = Annotated[int, Field(ge=1, le=65535)]


class SettingsError(Exception):
    """The environment does not describe a valid configuration; the message lists every mistake."""


class ProcessSettings(BaseModel):
    """What every process of the application has: where it listens and how much it logs."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    host: str = "127.0.0.1"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # SIGTERM: not ready at once, and after this notice, which load balancers need to see it, new work is refused …
    notice_seconds: Annotated[float, Field(ge=0, le=120)] = 0.0
    # … and what runs is finished within this. Whoever kills a process must wait longer than the two together.
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 20.0
    metrics_port: Port | None = None  # GET /metrics in Prometheus' text form, on a port of its own; None: not served
    # CloudWatch's namespace of the metrics written to standard output (app/telemetry/emf.py); None: nothing is written.
    emf_namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9._/#:-]{1,255}$")] | None = None


class RedisSettings(BaseModel):
    """The one stateful service. Time-outs are short: a hanging Redis must not hang a caller."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    redis_url: Annotated[str, Field(pattern=r"^rediss?://")] = "redis://127.0.0.1:6390/0"
    redis_username: Annotated[str, Field(min_length=1)] | None = None  # an ACL user; None: Redis' own "default"
    redis_password: SecretStr | None = None
    redis_timeout_seconds: Annotated[float, Field(gt=0, le=10)] = 0.25
    redis_cluster: bool = False  # speak the cluster protocol (MemoryDB)

    @field_validator("redis_cluster")
    @classmethod
    def _has_one_database(cls, cluster: bool, info: ValidationInfo) -> bool:
        if cluster and urlsplit(info.data.get("redis_url", "")).path not in ("", "/", "/0"):
            raise ValueError("a cluster has database 0 alone: end REDIS_URL with /0")
        return cluster


Address = Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")]


class SlackSettings(BaseModel):
    """A Slack application. Without a signing secret no events are taken, without tokens nothing is sent."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    # One or more, separated by white space, the current one first: so for every secret that the other side changes.
    slack_signing_secret: SecretStr | None = None
    slack_bot_token: SecretStr | None = None  # xoxb-…, of the one workspace; several workspaces install it (OAuth)
    slack_client_id: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+$")] | None = None
    slack_client_secret: SecretStr | None = None
    slack_app_token: SecretStr | None = None  # xapp-…, Socket Mode alone
    slack_api_url: Address = "https://slack.com/api/"
    slack_authorize_url: Address = "https://slack.com/oauth/v2/authorize"


class FeishuSettings(BaseModel):
    """A Feishu (or, with Lark's addresses, Lark) application."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    feishu_app_id: Annotated[str, Field(pattern=r"^cli_[A-Za-z0-9]+$")] | None = None
    feishu_app_secret: SecretStr | None = None
    feishu_encrypt_key: SecretStr | None = None  # one or more
    feishu_verification_token: SecretStr | None = None  # one or more
    feishu_url: Address = "https://open.feishu.cn"
    feishu_accounts_url: Address = "https://accounts.feishu.cn"
    # Whose mention is dropped from a message; None: learnt from the platform.
    feishu_bot_open_id: Annotated[str, Field(pattern=r"^ou_[A-Za-z0-9]+$")] | None = None
    feishu_calendar_id: str | None = None  # None: the application's own, primary calendar


class AccessSettings(BaseModel):
    """Who may do what, and whose things are whose."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tenants_file: Path | None = None  # None: one tenant, to whom every team belongs
    roles_file: Path | None = None  # None: app/auth/roles.yaml
    # 32 bytes in base64, one or more: seals the tokens of installed teams. None: nobody can install.
    token_key: SecretStr | None = None
    audit_directory: Path | None = None  # None: the audit log goes to standard output


class AnswerSettings(BaseModel):
    """The answer cache and the context of a conversation."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    answer_cache_seconds: Annotated[float, Field(ge=0, le=30 * 86400)] = 3600.0  # 0: no cache
    answer_cache_entries: Annotated[int, Field(ge=1, le=10_000_000)] = 10_000
    context_turns: Annotated[int, Field(ge=0, le=100)] = 6  # 0: every question stands alone
    context_characters: Annotated[int, Field(ge=1, le=1_000_000)] = 4_000
    context_seconds: Annotated[float, Field(ge=1, le=30 * 86400)] = 3600.0


class GatewaySettings(ProcessSettings, RedisSettings, SlackSettings, FeishuSettings, AccessSettings, AnswerSettings):
    """``python -m app.gateway``: webhooks and the answer API over TLS."""

    port: Port = 8443
    tls_certificate: Path | None = None
    tls_private_key: Path | None = None
    # Behind a load balancer that verifies no target's certificate: one is made at the start, in memory, and nobody else has it.
    tls_self_signed: bool = False
    api_key: SecretStr
    inference_url: Annotated[str, Field(pattern=r"^https?://")] = "http://127.0.0.1:8080"
    inference_api_key: SecretStr
    inference_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    # One or more Standard Webhooks secrets ("whsec_…"), space-separated while one replaces another.
    generic_webhook_secret: SecretStr | None = None
    public_url: Address | None = None  # where browsers and platforms reach this gateway; needed for installations
    # An identity provider whose bearer tokens are taken beside API keys.
    oidc_issuer: Address | None = None
    oidc_audience: Annotated[str, Field(min_length=1)] | None = None
    oidc_jwks_url: Address | None = None  # None: as the issuer's discovery document says
    oidc_tenant_claim: Annotated[str, Field(min_length=1)] = "tenant"
    # Events wait in Redis, which never evicts: beyond this many the gateway refuses with 503 and the platform retries.
    queue_limit: Annotated[int, Field(ge=1)] = 100_000


class WorkerSettings(ProcessSettings, RedisSettings, SlackSettings, FeishuSettings, AccessSettings, AnswerSettings):
    """``python -m app.pipeline``: takes events from the queue, answers or carries out, delivers."""

    port: Port = 8081  # health only
    inference_url: Annotated[str, Field(pattern=r"^https?://")] = "http://127.0.0.1:8080"
    inference_api_key: SecretStr
    inference_timeout_seconds: Annotated[float, Field(gt=0, le=600)] = 60.0
    worker_concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    lease_seconds: Annotated[float, Field(ge=1, le=600)] = 8.0  # a crashed worker's event is taken over this much later
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 5
    tasks_directory: Path | None = None  # None: the library that comes with the package
    # The generic platform: its base address and this assistant's OAuth2 client there.
    generic_url: Annotated[str, Field(pattern=r"^https?://")] | None = None
    generic_client_id: str = "assistant"
    generic_client_secret: SecretStr | None = None
    generic_webhook_secret: SecretStr | None = None  # signs the callbacks


class InferenceSettings(ProcessSettings):
    """``python -m app.inference``: the bundled model server."""

    port: Port = 8080
    model_path: Path
    api_key: SecretStr
    inference_device: Literal["cpu", "cuda"] = "cpu"
    inference_threads: Annotated[int, Field(ge=1, le=256)] | None = None  # None: one a core
    inference_slots: Annotated[int, Field(ge=1, le=256)] = 8
    inference_queue_limit: Annotated[int, Field(ge=0)] = 64
    inference_context: Annotated[int, Field(ge=128)] = 2048  # tokens a sequence may hold, prompt and answer together
    inference_max_tokens: Annotated[int, Field(ge=1)] = 512  # the most a request may ask for


class ModelHubSettings(BaseModel):
    """Where ``python -m app.models`` finds ``hf:`` sources; the names are those that the hub's own tools read."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    hf_endpoint: Annotated[str, Field(pattern=r"^https://[^/?#\s]+/?$")] = "https://huggingface.co"
    hf_token: SecretStr | None = None


S = TypeVar("S", bound=BaseModel)


def load(model: type[S], environment: Mapping[str, str]) -> S:
    """Read ``model``'s fields from ``environment`` (upper-cased names, ``NAME_FILE`` for files).

    Raises :class:`SettingsError` with one line for each mistake.
    """
    values: dict[str, str] = {}
    mistakes: list[str] = []
    for field in model.model_fields:
        name = field.upper()
        plain, file = environment.get(name), environment.get(f"{name}_FILE")
        if plain is not None and file is not None:
            mistakes.append(f"{name} and {name}_FILE are both set: keep one")
        elif plain is not None:
            values[field] = plain
        elif file is not None:
            try:
                values[field] = Path(file).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                mistakes.append(f"{name}_FILE={file}: cannot be read ({getattr(error, 'strerror', None) or 'not UTF-8'})")
    for field, value in values.items():
        # An empty key would be a key: one that everybody has.
        if SecretStr in _types(model.model_fields[field].annotation) and not value.strip():
            mistakes.append(f"{field.upper()} is empty: give it a value or take it out of the environment")
    known_bad = {line.split("_FILE=")[0].lower() for line in mistakes}
    try:
        settings = model.model_validate(values)
    except ValidationError as error:
        for detail in error.errors():
            field = str(detail["loc"][0]) if detail["loc"] else ""
            if field in known_bad:
                continue
            mistakes.append(_describe(model, field, values, detail["type"], detail["msg"]))
        settings = None
    if mistakes or settings is None:
        raise SettingsError("\n".join(mistakes))
    return settings


def _describe(model: type[BaseModel], field: str, values: Mapping[str, str], kind: str, message: str) -> str:
    secret = SecretStr in _types(model.model_fields[field].annotation) if field in model.model_fields else True
    if kind == "missing":
        return f"{field.upper()} is required" + (f" (or {field.upper()}_FILE with the path of a file)" if secret else "")
    came = "" if secret else f"={values.get(field)}"
    return f"{field.upper()}{came}: {message[:1].lower()}{message[1:]}"


def _types(annotation: object) -> set[object]:
    return {annotation, *getattr(annotation, "__args__", ())}
