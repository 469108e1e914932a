"""Which line of a container goes into which log group, and which lines become metrics."""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Sequence

import pytest

from app.telemetry import emf
from infra.aws.container_logs import IS_METRICS, application_logs

TEXT = application_logs(namespace="assistant", pods="/a/pods", metrics="/a/metrics", others="/a/cluster")
OURS = "/var/log/containers/gateway-5d9c_assistant_gateway-0123456789abcdef.log"
THEIRS = "/var/log/containers/coredns-7f_kube-system_coredns-0123456789abcdef.log"


def sections(name: str) -> list[dict[str, str]]:
    """As Fluent Bit's classic format has them: a name in brackets, then a key and a value a line."""
    found = []
    for block in re.split(r"(?m)^\[", TEXT)[1:]:
        head, *lines = block.splitlines()
        if head == f"{name}]":
            found.append(dict(line.split(None, 1) for line in lines if line.strip()))
    return found


def tag_of(path: str) -> list[str]:
    """Of the inputs that read a file, their tags."""
    tags = []
    for item in sections("INPUT"):
        excluded: Sequence[str] = [it.strip() for it in item.get("Exclude_Path", "").split(",") if it.strip()]
        if fnmatch.fnmatch(path, item["Path"]) and not any(fnmatch.fnmatch(path, it) for it in excluded):
            tags.append(item["Tag"].removesuffix("*") + path.lstrip("/").replace("/", "."))
    return tags


def group_of(tag: str) -> str:
    (found,) = [it["log_group_name"] for it in sections("OUTPUT") if fnmatch.fnmatch(tag, it["Match"])]
    return found


@pytest.mark.parametrize(
    ("path", "group"),
    [
        (OURS, "/a/pods"),
        (THEIRS, "/a/cluster"),
        # Another namespace whose name ends alike, and a pod that is called like ours.
        ("/var/log/containers/x_my-assistant_y-01.log", "/a/cluster"),
        ("/var/log/containers/assistant_default_y-01.log", "/a/cluster"),
    ],
)
def test_a_file_is_read_once_and_its_lines_go_into_one_group(path, group):
    (tag,) = tag_of(path)
    assert group_of(tag) == group


def test_what_the_add_on_itself_reads_as_the_data_plane_is_not_read_twice():
    assert tag_of("/var/log/containers/aws-node-x_kube-system_aws-node-01.log") == []


def test_a_document_of_metrics_is_sent_alone_as_it_is_with_the_header_that_makes_metrics_of_it():
    (rewrite,) = [it for it in sections("FILTER") if it["Name"] == "rewrite_tag"]
    key, pattern, new_tag, keep = rewrite["Rule"].split(" ")
    assert (key, pattern, new_tag, keep) == ("$log", IS_METRICS, "metrics.$TAG", "false")
    (tag,) = tag_of(OURS)
    renamed = new_tag.replace("$TAG", tag)
    assert group_of(renamed) == "/a/metrics"
    (output,) = [it for it in sections("OUTPUT") if it["Match"] == "metrics.*"]
    assert (output["log_key"], output["log_format"]) == ("log", "json/emf")
    # The filter that wraps lines with the pod's name must not see it, or `log` would be gone.
    names = [(it["Name"], it["Match"]) for it in sections("FILTER")]
    assert names.index(("rewrite_tag", "assistant.*")) < names.index(("kubernetes", "assistant.*"))
    assert not [it for it in names if fnmatch.fnmatch(renamed, it[1]) and it[0] == "kubernetes"]


@pytest.mark.parametrize(
    ("line", "metrics"),
    [
        ('{"_aws":{"Timestamp":1,"CloudWatchMetrics":[]},"Service":"worker","QueueUp":1}', True),
        ('{"Service": "worker", "_aws": {"Timestamp": 1}}', True),
        ('{"level":"info","message":"hello"}', False),
        # What somebody wrote stands in a string, whose quotes are escaped.
        (json.dumps({"message": '{"_aws":{"Timestamp":1}}'}), False),
        (json.dumps({"message": 'x,"_aws":{"Timestamp":1}}'}), False),
        ('"_aws":{', False),
        ("plain text", False),
        (emf.document("worker", "Assistant/prod", (), {"QueueUp": 1.0}, 1), True),
    ],
)
def test_only_a_document_of_metrics_is_taken_for_one(line, metrics):
    assert bool(re.search(IS_METRICS, line)) is metrics


def test_nothing_is_a_template_of_the_chart_and_no_group_is_made_by_fluent_bit():
    assert "{{" not in TEXT
    assert {it["auto_create_group"] for it in sections("OUTPUT")} == {"false"}
