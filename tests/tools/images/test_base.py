"""Where the base comes from on a machine that reaches no registry."""

from __future__ import annotations

import pytest

from tools.images.base import MIRROR, mirror_of


@pytest.mark.parametrize(
    ("sources", "mirror"),
    [
        ("", MIRROR),
        ("Types: deb\nURIs: http://mirror.example/debian/\nSuites: bookworm\n", "http://mirror.example/debian"),
        ("deb [signed-by=/k.gpg] https://mirror.example/debian bookworm main\n", "https://mirror.example/debian"),
        (
            "# deb http://other.example/debian bookworm main\ndeb http://mirror.example/debian bookworm main\n",
            "http://mirror.example/debian",
        ),
        ("URIs: http://mirror.example/debian-security\n", MIRROR),
        ("deb https://packages.example/apt stable main\n", MIRROR),
    ],
)
def test_the_mirror_is_the_one_that_this_machines_apt_names(sources: str, mirror: str) -> None:
    assert mirror_of(sources) == mirror


def test_an_address_with_a_password_does_not_get_into_an_image() -> None:
    assert mirror_of("deb https://reader:hidden@mirror.example/debian bookworm main\n") == MIRROR
