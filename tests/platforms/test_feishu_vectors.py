"""Feishu's encryption and signature against values that others published; each with its source."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from feishu import wire

from app.platforms.feishu.encryption import DecryptionFailed, decrypt
from app.platforms.feishu.signature import sign

# From the documentation's page on encrypt keys, before it was split:
# https://open.larkoffice.com/document/ukTMukTMukTM/uYDNxYjL2QTM24iN0EjN/event-subscription-configure-/configure-encrypt-key
# The key to it, and the text, stand in https://github.com/cyclone-robotics/feishu-python-sdk/blob/master/tests/test_decrypt_aes.py
KUDRYAVKA = (
    "FIAfJPGRmFZWkaxPQ1XrJZVbv2JwdjfLk4jx0k/U1deAqYK3AXOZ5zcHt/cC4ZNTqYwWUW/EoL+b2hW/C4zoAQQ5CeMtbxX2zHjm+E4nX/Aww+FHUL6iuIMaeL2KL"
    "xqdtbHRC50vgC2YI7xohnb3KuCNBMUzLiPeNIpVdnYaeteCmSaESb+AZpJB9PExzTpRDzCRv+T6o5vlzaE8UgIneC1sYu85BnPBEMTSuj1ZZzfdQi7ZW992Z4dmJx"
    "n9e8FL2VArNm99f5Io3c2O4AcNsQENNKtfAAxVjCqc3mg5jF0nKabA+u/5vrUD76flX1UOF5fzJ0sApG2OEn9wfyPDRBsApn9o+fceF9hNrYBGsdtZrZYyGG387CG"
    "OtKsuj8e2E8SNp+Pn4E9oYejOTR+ZNLNi+twxaXVlJhr6l+RXYwEiMGQE9zGFBD6h2dOhKh3W84p1GEYnSRIz1+9/Hp66arjC7RCrhuW5OjCj4QFEQJiwgL45XryxH"
    "tiZ7JdAlPmjVsL03CxxFZarzxzffryrWUG3VkRdHRHbTsC34+ScoL5MTDU1QAWdqUC1T7xT0lCvQELaIhBTXAYrznJl6PlA83oqlMxpHh0gZBB1jFbfoUr7OQbBs1"
    "xqzpYK6Yjux6diwpQB1zlZErYJUfCqK7G/zI9yK/60b4HW0k3M+AvzMcw="
)
# https://github.com/larksuite/oapi-sdk-java/blob/main/larksuite-oapi/src/test/java/com/lark/oapi/core/utils/TestDecryptor.java
JAVA = (
    "4T4ivT/PR2APX9OYkhRKtu54s1rtIpj9xJU69Hs1yWQ/1RutbufsBs9xjx5YC3u/0hMRF49sN0kevQiEL8iB3bVEdpfyJXzXGDfKUjvKQTmG64GbMdTW6qRpadVPe"
    "m3f32jHuT6fc+4TRg4BigwoUId+l/D+vcIwu3mDgAEbaqzWfmvccmpiRMfQbh9JhdK/akmrRjo/CXPLM+hZciFXJMSpKueV3SjZJoSls5y0ZTHC8zak/Mp/DSl1wa"
    "4mYe5laP367Lnl4ylGiXBKx3Ku29oWv79rYcO/5QT63H4rkl8bwYmAzScpb2KNnV11L3xiDzJp3hFdfXczUvm93FXu4Lw8eDAsRzIWCccKrqHh0UvtDJD95tNn6Lv"
    "Yew4+Xbk1RD4k7UzWJS9AMobOK778NLNxfQ+Kn7MKzBHilXnSIVY5V+dcsOOdfqJviW4yWmT73JHYKq1qJip7Cw7lbkmRMUmettUwdVFWxeXH6iTex3YXCgqoriCx"
    "/MzeQhdNEycipooB/vHItRt1CF44uFWj9tf8n3TdbdH4dNMD0hw8ejHJSbEHb9HAGCugUniN8BzL9wxE959JU4cu3BKjDuIk5oS9hLR1mSc3vKBuSa3VKOE="
)
JAVA_TEXT = (
    '{"schema":"2.0","header":{"event_id":"f7984f25108f8137722bb63cee927e66","event_type":"contact.user.created_v3","app_id":"cli_xxxxxxxx"'
    ',"tenant_key":"xxxxxxx","create_time":"1603977298000000","token":"v"},"event":{"object":{"open_id":"ou_7dab8a3d3cdcc9da365777c7ad535d'
    '62","union_id":"on_576833b917gda3d939b9a3c2d53e72c8","user_id":"e33ggbyz","name":"张三","employee_no":"employee_no"}},"challenge":"12'
    '12","type":"url_verification1"}'
)
# https://github.com/larksuite/oapi-sdk-go/blob/v3_main/event/dispatcher/dispatcher_test.go, TestDecryptEvent
GO = (
    "bZ3L7yh6m3Fkuffl4g+3uGjIHnhOm5fVZbKVuyT8t7tcd5ABMYm8l28/X900ZL3knZ7n+sCREu/H2WnIzft0amC7+xWqNH8o25IU63N4BnZWfHh+4hyG76QPd19vkw"
    "2bPJCx9aqxK8Nz+xqFNbk0RdgyWhmgd30jSxHtcQXAllkI7FMpGpOCteJad3bLXPDBQIV/xkCtKICCS7Z63gakpxZCLaRZ3qCXP1fapHh+LBIupxenrU6ysc7I3nHm"
    "jmKie41IiWwS5puG4zQHhVbq6KWLcgWm/3NBZOPQy53ucMu75SXA55I7jarVLZXWUcqBGrcgE3vouWbtwgZuzmoTQl0GSh5VYSVvpW992BuGxUWj0XjPYdICJm6Cr7"
    "xouNXwMcdb7N8caVdkdSZeEnswG19qSyDoQhklwzNGW0yiaayulBqJNjfge/G5V3401c2XaIuAeEIo+QQ4RSNpRGfnHkbu/j55FGQAGWjpuBNaIwZbaUoVP3NkGP+v"
    "M5rpEDe3sL2GN+Xsd+g9yBs7FqdMV8mXTGgLjCqjrPrke5/km76Q3Pe6KPs2YexMRG4MkSx3xUTzZnNn7zIzShPcjeSwBd2pxk6ht5N+fzueZdxl6Oo="
)


def test_the_documentations_own_example_is_decrypted() -> None:
    """https://open.feishu.cn/document/ukTMukTMukTM/uYDNxYjL2QTM24iN0EjN/event-subscription-configure-/encrypt-key-encryption-configuration-case"""
    assert decrypt("test key", "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=") == b"hello world"


def test_the_documentations_older_example_is_decrypted() -> None:
    opened = json.loads(decrypt("kudryavka", KUDRYAVKA))
    assert opened["uuid"] == "5226cd85b4d843dccee2e279d93f3ed3"
    assert opened["event"]["type"] == "user_status_change"
    assert (opened["token"], opened["ts"]) == ("GzhQEyfUcx7eEungQFWtXgCbxSpUOJIb", "1589970805.376395")


def test_the_java_packages_test_is_decrypted() -> None:
    assert decrypt("1212121212", JAVA).decode() == JAVA_TEXT


def test_the_go_packages_test_is_decrypted() -> None:
    opened = json.loads(decrypt("1212121212", GO))
    assert opened["header"]["event_type"] == "contact.user.created_v3"
    assert opened["event"]["object"]["name"] == "张三"


@pytest.mark.parametrize(
    ("key", "encrypted"), [("test key", "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk="), ("1212121212", JAVA)]
)
def test_the_emulator_encrypts_to_the_same_bytes(key: str, encrypted: str) -> None:
    iv = base64.b64decode(encrypted)[:16]
    assert wire.encrypt(key, decrypt(key, encrypted), iv) == encrypted


def test_the_signature_is_the_hash_of_what_the_documentation_joins() -> None:
    """The packages publish no signature, only how they make one: https://github.com/larksuite/oapi-sdk-go/blob/v3_main/event/event.go
    and, with these values, TestVerifySignOk in the file above."""
    body = JAVA_TEXT.replace("url_verification1", "url_verification").encode()
    joined = b"timestamp" + b"nonce" + b"1212121212" + body
    assert sign("1212121212", "timestamp", "nonce", body) == hashlib.sha256(joined).hexdigest()
    assert wire.signature("1212121212", "timestamp", "nonce", body) == hashlib.sha256(joined).hexdigest()


GOOD = base64.b64decode("P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk=")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        GOOD[:16],
        GOOD[:-1],
        GOOD + b"\x00",
        GOOD + bytes(16),
        *(GOOD[:-1] + bytes([GOOD[-1] ^ bit]) for bit in (1, 2, 4, 8, 16, 32, 64, 128)),
    ],
)
def test_whatever_is_wrong_with_a_body_is_one_and_the_same_error(broken: bytes) -> None:
    with pytest.raises(DecryptionFailed) as refused:
        decrypt("test key", base64.b64encode(broken).decode())
    with pytest.raises(DecryptionFailed) as wrong_key:
        decrypt("another key", base64.b64encode(GOOD).decode())
    assert str(refused.value) == str(wrong_key.value)


@pytest.mark.parametrize("text", ["!!!!", "P37w", "é", "P37w+VZImNgPEO1RBhJ6RtKl7n6zymIbEG1pReEzghk", " "])
def test_what_is_not_base64_is_refused_alike(text: str) -> None:
    with pytest.raises(DecryptionFailed, match="cannot be decrypted"):
        decrypt("test key", text)
