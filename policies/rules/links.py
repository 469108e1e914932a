"""Where the words behind the rules stand."""

from typing import Final

SECRETS: Final = "https://www.pulumi.com/docs/iac/concepts/secrets/"
FILES: Final = "https://cheatsheetseries.owasp.org/cheatsheets/Secrets_Management_Cheat_Sheet.html"
REDIS_SECURITY: Final = "https://redis.io/docs/latest/operate/oss_and_stack/management/security/"
REDIS_EVICTION: Final = "https://redis.io/docs/latest/develop/reference/eviction/"
REDIS_PERSISTENCE: Final = "https://redis.io/docs/latest/operate/oss_and_stack/management/persistence/"
TLS: Final = "https://www.rfc-editor.org/rfc/rfc9325.html"  # RFC 9325 (BCP 195): neither TLS 1.0 nor 1.1
LOOPBACK: Final = "https://www.rfc-editor.org/rfc/rfc6890.html"
PROBES: Final = "https://kubernetes.io/docs/concepts/configuration/liveness-readiness-startup-probes/"
SUPERVISION: Final = "https://supervisord.org/configuration.html#program-x-section-settings"
API_AUTHENTICATION: Final = "https://owasp.org/API-Security/editions/2023/en/0xa2-broken-authentication/"
PINNING: Final = "https://slsa.dev/spec/v1.0/verifying-artifacts"
CERTIFICATES: Final = "https://cabforum.org/working-groups/server/baseline-requirements/requirements/"
IGNORE_CHANGES: Final = "https://www.pulumi.com/docs/iac/concepts/resources/options/ignorechanges/"
