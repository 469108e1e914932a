"""One secret's value from Secrets Manager, and which failures pass by themselves.

boto3 is imported when the first secret is read: only processes that speak to AWS pay for it. Credentials are botocore's default
chain: Pod Identity on EKS, the task role on Fargate.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

from app.aws.failures import kind_of

REGION = re.compile(r"arn:[a-z-]+:secretsmanager:(?P<region>[a-z0-9-]+):\d{12}:secret:.+")


class NotYet(Exception):
    """There is no value now, and there may be one soon."""


class Denied(Exception):
    """Waiting would not help. The message names the secret and who asked for it."""


class Client(Protocol):
    def get_secret_value(self, *, SecretId: str) -> dict[str, Any]: ...  # noqa: N803 boto3's name


class Reader:
    def __init__(self) -> None:
        self._session: Any = None
        self._clients: dict[str | None, Client] = {}

    def read(self, secret: str) -> bytes:
        """The value of ``secret``, an id or ARN. Raises :class:`NotYet` or :class:`Denied`."""
        from botocore import exceptions

        try:
            answer = self._client(secret).get_secret_value(SecretId=secret)
        except exceptions.ClientError as error:
            details = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            raise self._judge(secret, details.get("Code", "unknown"), details.get("Message", ""), status) from None
        except (exceptions.NoCredentialsError, exceptions.CredentialRetrievalError, exceptions.PartialCredentialsError):
            self._session, self._clients = None, {}  # a session never looks for credentials twice
            raise NotYet(f"secret {secret}: this workload has no credentials (Pod Identity association, task role)") from None
        except exceptions.NoRegionError:
            raise Denied(f"secret {secret}: no region is known: set AWS_REGION, or give the secret's ARN") from None
        except exceptions.BotoCoreError as error:  # refused, timed out, an answer cut off
            raise NotYet(f"secret {secret}: Secrets Manager is not reachable ({type(error).__name__})") from None
        value = answer.get("SecretString")
        return value.encode() if value is not None else bytes(answer["SecretBinary"])

    def _judge(self, secret: str, code: str, message: str, status: int) -> NotYet | Denied:
        if code == "ResourceNotFoundException" and "staging label" in message:
            return NotYet(f"secret {secret} has no value yet: `make secrets STACK=…` gives it one")
        if code == "ResourceNotFoundException":
            return Denied(f"there is no secret {secret} in this account and region")
        kind = kind_of(code, status)
        if kind == "passing":
            return NotYet(f"secret {secret}: Secrets Manager answers {code}")
        if kind == "denied":
            return Denied(
                f"secret {secret} may not be read by {self._who()} ({code}): its policy needs secretsmanager:GetSecretValue"
                " on the secret and kms:Decrypt on the secret's key"
            )
        return Denied(f"secret {secret} cannot be read: {code}: {message[:200]}")

    def _who(self) -> str:
        from botocore import exceptions

        try:
            return str(self._made("sts", None).get_caller_identity()["Arn"])
        except (exceptions.ClientError, exceptions.BotoCoreError):
            return "this workload's role"

    def _client(self, secret: str) -> Client:
        found = REGION.fullmatch(secret)
        region = found["region"] if found else None
        if region not in self._clients:
            self._clients[region] = self._made("secretsmanager", region)
        return self._clients[region]

    def _made(self, service: str, region: str | None) -> Any:
        import boto3
        from botocore.config import Config

        if self._session is None:
            self._session = boto3.session.Session()
        config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 2})
        return self._session.client(service, region_name=region, config=config)
