"""Does a text hold a secret? Decided by known formats, by the name under which the text stands, and by entropy.

Pure functions over texts. A reason names the format or the property, never the text. What cannot be told apart is not
guessed: a hexadecimal text under a neutral name is taken for a digest (see ``docs/policies.md``).
"""

from __future__ import annotations

import base64
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

# Formats that their issuers document; found anywhere in a text.
FORMATS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = (
    ("a private key", re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("a Standard Webhooks secret (whsec_)", re.compile(r"\bwhs(?:ec|k)_[A-Za-z0-9+/=_-]{16,}")),
    ("a Slack token (xox…)", re.compile(r"\bxox[abeoprs](?:\.[a-z]+)?-[A-Za-z0-9-]{10,}|\bxapp-\d-[A-Za-z0-9-]{10,}")),
    ("an AWS access key id", re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")),
    ("a JSON Web Token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*")),
    ("a GitHub token", re.compile(r"\bgh[oprsu]_[A-Za-z0-9]{36,}|\bgithub_pat_[A-Za-z0-9_]{40,}")),
    ("a GitLab token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,}")),
    ("a Hugging Face token", re.compile(r"\bhf_[A-Za-z]{30,}\b")),
    ("a Google API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}")),
    ("an API key (sk-…)", re.compile(r"\bsk-(?:[a-z]+-)*[A-Za-z0-9_-]{20,}|\b[rs]k_live_[A-Za-z0-9]{16,}")),
    ("a Pulumi access token", re.compile(r"\bpul-[0-9a-f]{40}\b")),
    ("a PyPI token", re.compile(r"\bpypi-AgE[A-Za-z0-9_-]{20,}")),
    ("a password in a URL", re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@?#]{0,256}:(?![%$]|\{)[^\s/@?#]{1,1024}@", re.I)),
    ("the credentials of an Authorization header", re.compile(r"\b(?:Bearer|Basic) [A-Za-z0-9+/=._~-]{16,}")),
)

# A name is split into words: API_KEY_FILE, apiKeyFile and api-key-file are all (api, key, file).
WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
SECRET_WORDS: Final = frozenset(
    {"password", "passwords", "passwd", "passphrase", "secret", "secrets", "token", "credential", "credentials", "requirepass"}
    | {"masterauth", "apikey", "apikeys", "pwd"}
)
SECRET_PAIRS: Final = frozenset(
    {("api", "key"), ("api", "keys"), ("private", "key"), ("access", "key"), ("signing", "key"), ("encryption", "key")}
    | {("account", "key"), ("master", "key"), ("session", "key"), ("auth", "key")}
)
# AWS' word for "nobody has changed it since I looked" (WAF's UpdateWebACL and its like), which opens nothing; the browsers'
# header `Access-Control-Allow-Credentials`, which says yes or no; the ingress controller's `proxy-ssl-secret`, which is a
# Secret's name.
PUBLIC_PAIRS: Final = frozenset({("lock", "token"), ("allow", "credentials"), ("ssl", "secret")})
# A name that ends so speaks about a secret and does not hold one: API_KEY_FILE, tokenEndpoint, secretArn, password_length.
ABOUT_WORDS: Final = frozenset(
    {"file", "files", "path", "paths", "directory", "dir", "folder", "location", "name", "names", "arn", "arns", "id", "ids"}
    | {"url", "urls", "uri", "uris", "endpoint", "endpoints", "issuer", "header", "selector", "ref", "reference", "env"}
    | {"digest", "digests", "sha", "hash", "hashes", "fingerprint", "fingerprints", "checksum"}
    | {"length", "bytes", "bits", "size", "mode", "modes", "count", "limit", "version", "versions", "revision", "generation"}
    | {"ttl", "seconds", "minutes", "hours", "days", "age", "at", "on", "rotation", "required", "enabled", "changed", "policy"}
    | {"algorithm", "type", "types", "kind", "format", "provider", "providers", "owner", "group", "user", "usage", "spec"}
    | {"description", "store", "manager"}
)
# Below a name that ends so stands one reference a name: files.api_key, arns.api_key. Kubernetes' volumes name secrets as well.
REFERENCES: Final = frozenset(
    {"arns", "checksums", "digests", "endpoints", "files", "fingerprints", "hashes", "ids", "names", "paths", "references"}
    | {"uris", "urls", "versions", "volumes"}
)

# Say by their first word what they are.
LABELLED: Final = re.compile(r"(?i:urn|arn):\S+|(?i:sha(?:1|256|384|512))[:-][A-Za-z0-9+/=:-]+")
# Within a text, an access policy's document say: what names a secret in Secrets Manager holds none.
ARN: Final = re.compile(r"""\barn:aws[a-z-]{0,10}:[a-z0-9-]{1,40}:[a-z0-9-]{0,30}:\d{0,12}:[^\s"',]{1,512}""")
NOT_A_SECRET: Final[tuple[re.Pattern[str], ...]] = (
    re.compile(r"\s*"),  # empty
    re.compile(r"(?i)true|false|yes|no|none|null|nil|\d+(?:\.\d+)?"),
    re.compile(r"\[secret\]|\*+|<[^<>]*>"),  # placeholders of Pulumi's display and of examples
    re.compile(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?|%\([A-Za-z_][A-Za-z0-9_]*\)s|\{\{?[^{}]*\}?\}"),  # references to variables
    re.compile(r"(?:~|\.{1,2})?/[^\r\n]*|(?=\S*/)\S+\.[a-z]{1,5}"),  # paths, with blanks where they begin as one
    re.compile(r"[a-z][a-z0-9+.-]*://[^\s@]*"),  # addresses without user information
    re.compile(r"(?:[0-9A-Fa-f]{2}:){7,}[0-9A-Fa-f]{2}"),  # fingerprints in pairs
    re.compile(r"(?:ssh-[a-z0-9]+|ecdsa-sha2-[a-z0-9]+) [A-Za-z0-9+/=]+(?: .*)?"),  # public keys
)
HEX_DIGEST: Final = re.compile(r"(?i)[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{56}|[0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}")
PUBLIC_LABELS: Final = ("CERTIFICATE", "TRUSTED CERTIFICATE", "CERTIFICATE REQUEST", "X509 CRL", "PUBLIC KEY", "RSA PUBLIC KEY")
# PEM in base64, as a kubeconfig carries its authority: both begin alike.
WRAPPED_PEM: Final = re.compile(r"LS0tLS1CRUdJTi[A-Za-z0-9+/]{16,65536}={0,2}")

# `--requirepass VALUE`, `password=VALUE`, `masterauth VALUE` within command lines and configuration texts.
OPTION: Final = re.compile(r"--?(?P<name>[A-Za-z][A-Za-z0-9_-]*)")
ASSIGNMENT: Final = re.compile(
    r"""(?mx) (?: ^[ \t]*(?P<directive>requirepass|masterauth)[ \t]+
              | (?<![A-Za-z0-9_-])-{0,2}(?P<name>[A-Za-z_][A-Za-z0-9_.-]{0,80})["']?[ \t]*[=:][ \t]* )
        # Looked at and not consumed: in `environment=API_KEY=…` the second name is the telling one. Bounded for time.
        (?=(?P<value>"[^"\n]{0,256}|'[^'\n]{0,256}|[^\s"',;]{1,256}))"""
)

# A random text of 43 letters and digits (32 bytes) has about 4.9 bits of entropy a character, a fifth of it lies in runs of
# letters that could be words, and one character in 32 is a separator (base64). Names have three quarters in words, or more
# separators. The thresholds lie between; tests/policies/test_secret_scanning.py measures what they find and what they spare.
TOKEN: Final = re.compile(r"[A-Za-z0-9+/_-]{32,}={0,2}")
ENTROPY_BITS: Final = 4.0  # a character
WORD_LIKE: Final = re.compile(r"[A-Z]?[a-z]{3,}")
IN_WORDS: Final = 0.5  # of the characters
SEPARATORS: Final = 1 / 10  # of the characters
FEWEST_OF_A_CLASS: Final = 2  # upper case, lower case and digits each
SHORTEST_LINES: Final = 64  # characters of base64: 48 of text, which no random bytes are
LONGEST_SHAPE: Final = 4096  # characters; nothing longer is a path, an address or a digest


@lru_cache(maxsize=4096)
def words_of(name: str) -> tuple[str, ...]:
    return tuple(word.lower() for word in WORDS.findall(name))


@lru_cache(maxsize=4096)
def names_a_secret(name: str) -> bool:
    """Is what stands under ``name`` meant to be secret? ``API_KEY``: yes, ``API_KEY_FILE`` and ``maxTokens``: no."""
    words = without_public_pairs(words_of(name))
    named = [word for word in words if not word.isdecimal()]  # SECRET_SHA256, TOKEN_FILE_2
    if not named or named[-1] in ABOUT_WORDS:
        return False
    return any(word in SECRET_WORDS for word in words) or any(pair in SECRET_PAIRS for pair in pairwise(words))


def without_public_pairs(words: tuple[str, ...]) -> tuple[str, ...]:
    inside = {place for place, pair in enumerate(pairwise(words)) if pair in PUBLIC_PAIRS}
    return tuple(word for place, word in enumerate(words) if not inside & {place - 1, place})


def speaks_about_a_secret(name: str) -> bool:
    """``API_KEY_FILE``, ``tokenEndpoint``: what stands here, or below, is no secret by its name."""
    words = words_of(name)
    return bool(words) and words[-1] in ABOUT_WORDS


def keyed_by_secret(keys: Sequence[str]) -> bool:
    """Does a telling name among ``keys`` name a secret? ``webhookSecrets.generic`` does and ``spec.env.API_KEY``;
    ``secretFiles.apiKey`` and ``arns.api_key`` do not: the files' names stand there, and the secrets' own."""
    named = [key for key in keys if not key.startswith("[")]
    if named and speaks_about_a_secret(named[-1]):
        return False
    if any(holds_references(key) for key in named[:-1]):
        return False
    return any(names_a_secret(key) for key in named)


def holds_references(name: str) -> bool:
    """``secretFiles``, ``secretKeyRef``, ``arns``: what stands below leads to secrets. ``spec`` and ``env``, which end in a
    word of that kind too, hold anything."""
    words = words_of(name)
    return bool(words) and (
        words[-1] in REFERENCES or (words[-1] in ABOUT_WORDS and any(word in SECRET_WORDS for word in words))
    )


def is_harmless(text: str) -> bool:
    """Has ``text`` the shape of something that is no secret: a path, an address, a labelled digest, a reference?"""
    if len(text) > LONGEST_SHAPE:
        return False
    if LABELLED.fullmatch(text):
        return True
    if TOKEN.fullmatch(text) and is_random(text):
        return False
    return any(pattern.fullmatch(text) for pattern in NOT_A_SECRET)


def scan(keys: Sequence[str], text: str) -> str | None:
    """Why ``text``, which stands under ``keys``, is taken for a secret; None where it is not."""
    rest = without_public_pem(text)
    for name, pattern in FORMATS:
        if pattern.search(rest):
            return name
    if keyed_by_secret(keys) and not is_harmless(rest.strip()):
        return "a literal under the name of a secret"
    if lines := opened(rest):
        return scan(keys, lines)
    if not LABELLED.fullmatch(rest) and any(_assignments(ARN.sub("", rest))):
        return "a literal after the name of a secret"
    if not is_harmless(rest.strip()) and any(is_random(token) for token in TOKEN.findall(rest)):
        return "a text as random as a key"
    return None


def without_public_pem(text: str) -> str:
    """``text`` less its certificates and public keys, which look random and are no secrets; in base64 as well."""
    text = WRAPPED_PEM.sub(lambda found: "" if _is_public(found[0]) else found[0], text)
    for label in PUBLIC_LABELS:
        begin, end = f"-----BEGIN {label}-----", f"-----END {label}-----"
        if begin in text:
            head, *blocks = text.split(begin)
            text = head + "".join(block.partition(end)[2] for block in blocks)
    return text


def _is_public(wrapped: str) -> bool:
    """Whether what was wrapped in base64 is certificates and public keys, and nothing beside them."""
    try:
        inner = base64.b64decode(wrapped, validate=True).decode("ascii")
    except ValueError:
        return False
    return not without_public_pem(inner).strip()


def opened(text: str) -> str | None:
    """The lines that ``text`` is the base64 of, as a machine's user data is; None where it is of something else, a key above
    all, which has no lines."""
    if len(text) < SHORTEST_LINES or not TOKEN.fullmatch(text):
        return None
    try:
        inner = base64.b64decode(text, validate=True).decode("ascii")
    except ValueError:
        return None
    lines = inner.splitlines()
    return inner if len(lines) > 1 and all(line.isprintable() for line in lines) else None


def scan_arguments(arguments: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Positions in a command line of literals that follow an option named like a secret (``--requirepass VALUE``)."""
    for position, (option, value) in enumerate(pairwise(arguments)):
        match = OPTION.fullmatch(option)
        if match and names_a_secret(match["name"]) and not OPTION.fullmatch(value) and not is_harmless(value):
            yield position + 1, "a literal after an option named like a secret"


def is_random(token: str) -> bool:
    """Looks ``token`` (letters, digits and ``+/_-=``) drawn at random? Hexadecimal digests do not count."""
    if HEX_DIGEST.fullmatch(token):
        return False
    classes = ["upper" if char.isupper() else "lower" if char.islower() else "digit" for char in token if char.isalnum()]
    counts = Counter(classes)
    if len(counts) < len(("upper", "lower", "digit")) or min(counts.values()) < FEWEST_OF_A_CLASS:
        return False
    in_words = sum(map(len, WORD_LIKE.findall(token))) / len(token)
    separators = 1 - len(classes) / len(token.rstrip("="))
    return in_words <= IN_WORDS and separators <= SEPARATORS and entropy(token) >= ENTROPY_BITS


def entropy(text: str) -> float:
    """Shannon's entropy of the characters of ``text``, in bits a character."""
    total = len(text)
    return -sum(count / total * math.log2(count / total) for count in Counter(text).values()) if total else 0.0


def _assignments(text: str) -> Iterator[str]:
    for match in ASSIGNMENT.finditer(text):
        name, value = match["directive"] or match["name"], match["value"].strip("\"'")
        # In a JSON text the last value carries the object's end with it.
        if names_a_secret(name) and not is_harmless(value) and not is_harmless(value.rstrip("}])")):
            yield name
