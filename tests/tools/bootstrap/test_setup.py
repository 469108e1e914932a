"""How pip, uv and the steps are called."""

import re
import subprocess
import sys

import pytest

from tools.bootstrap.setup import Setup, index_of_pip, trusting
from tools.bootstrap.steps import Step, StepError
from tools.pulumi.environment import CHECKOUT


def entry(lock: str, name: str) -> tuple[str, frozenset[str]]:
    """Version and hashes of a package in a lock file."""
    text = (CHECKOUT / "requirements" / lock).read_text()
    found = re.search(rf"^{name}==(\S+).*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found
    return found.group(1), frozenset(re.findall(r"sha256:[0-9a-f]{64}", found.group(0)))


def test_pip_installs_the_uv_that_the_development_lock_pins():
    assert entry("bootstrap.lock", "uv") == entry("development.lock", "uv")


def test_the_bundle_that_the_user_names_is_trusted_by_all(tmp_path):
    bundle = tmp_path / "company.pem"
    bundle.write_text("")
    made = trusting({"SSL_CERT_FILE": str(bundle)})
    assert {made[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")} == {str(bundle)}
    assert made["UV_SYSTEM_CERTS"] == "1"


def test_the_users_own_choice_of_certificates_stays():
    made = trusting({"PIP_CERT": "/mine.pem", "UV_SYSTEM_CERTS": "0"})
    assert (made["PIP_CERT"], made["UV_SYSTEM_CERTS"]) == ("/mine.pem", "0")


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("", {}),
        ("global.index-url='https://mirror/simple'\n", {"UV_DEFAULT_INDEX": "https://mirror/simple"}),
        (
            ":env:.index-url='https://mirror/simple'\nsite.extra-index-url='https://own/simple'\nglobal.timeout='9'\n",
            {"UV_DEFAULT_INDEX": "https://mirror/simple", "UV_INDEX": "https://own/simple"},
        ),
    ],
)
def test_uv_uses_the_index_that_pip_is_configured_for(listing, expected):
    assert index_of_pip(listing, {}) == expected


def test_an_index_that_is_set_for_uv_stays():
    assert index_of_pip("global.index-url='https://mirror/simple'", {"UV_DEFAULT_INDEX": "https://x"}) == {}


def test_a_folder_that_is_no_environment_is_not_removed(tmp_path):
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "precious").write_text("")
    with pytest.raises(StepError, match="is no virtual environment"):
        Setup(tmp_path, {}, {}).make_environment(Step(name="environment", run=lambda step: None))
    assert (tmp_path / ".venv" / "precious").exists()


@pytest.fixture
def environment(tmp_path):
    """A virtual environment of this Python, in a checkout whose path has a space and is not ASCII."""
    folder = tmp_path / "a b 项目" / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    (folder / f"lib/python3.{sys.version_info[1]}/site-packages/pip.py").touch()  # the real one costs seconds
    return folder


def usable(environment):
    return Setup(environment.parent, {}, {}).usable()


def test_an_environment_of_this_python_at_this_place_is_kept(environment):
    assert usable(environment)


def test_one_without_pip_was_cut_short(environment):
    next(environment.rglob("pip.py")).unlink()
    assert not usable(environment)


def test_one_whose_python_was_removed_is_made_anew(environment):
    for name in ("python", "python3", f"python3.{sys.version_info[1]}"):
        (environment / "bin" / name).unlink(missing_ok=True)
    (environment / "bin" / "python").symlink_to("/nonexistent/python3")
    assert not usable(environment)


def test_one_that_was_moved_is_made_anew_because_its_scripts_name_the_old_place(environment):
    elsewhere = environment.parent.parent / "elsewhere"
    environment.parent.rename(elsewhere)
    assert not usable(elsewhere / ".venv")
