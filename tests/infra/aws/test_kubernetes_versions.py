"""Which versions of Kubernetes a stack may ask EKS for, on which day."""

from __future__ import annotations

import datetime

import pytest

from infra.aws.kubernetes_versions import END_OF_STANDARD_SUPPORT, LOOKED_UP, check, check_known, supported
from infra.aws_settings import Eks
from infra.errors import DeploymentError

END = END_OF_STANDARD_SUPPORT["1.35"]


@pytest.mark.parametrize("version", ["1.20", "1.99"])
def test_a_version_that_nobody_knows_is_refused_with_those_that_are_supported(version: str) -> None:
    with pytest.raises(DeploymentError, match=rf"eks.version is {version}.*Allowed: 1.34, 1.35, 1.36"):
        check_known(version)


def test_a_version_whose_support_has_ended_is_refused_from_that_day_on() -> None:
    assert check("1.35", END - datetime.timedelta(days=1)) is not None
    with pytest.raises(DeploymentError, match=f"ended on {END}.*Allowed: 1.36"):
        check("1.35", END)
    with pytest.raises(DeploymentError, match="Allowed: none that this project knows"):
        check("1.33", datetime.date(2030, 1, 1))


def test_the_end_is_said_aloud_within_sixty_days_of_it_and_not_before() -> None:
    assert check("1.35", END - datetime.timedelta(days=61)) is None
    said = check("1.35", END - datetime.timedelta(days=60))
    assert said is not None
    assert f"ends on {END}, in 60 days: set eks.version to 1.36 before" in said
    newest = max(END_OF_STANDARD_SUPPORT, key=lambda version: END_OF_STANDARD_SUPPORT[version])
    assert "by itself" in str(check(newest, END_OF_STANDARD_SUPPORT[newest] - datetime.timedelta(days=1)))


def test_the_default_was_supported_and_in_no_hurry_when_the_calendar_was_looked_up() -> None:
    assert Eks().version in supported(LOOKED_UP)
    assert check(Eks().version, LOOKED_UP) is None
