"""A record says what a run saw and said, comes back as it was, and holds no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from policies import record
from policies.evaluation import Result
from policies.record import Record, RecordMistake, Seen, marked, plain
from policies.resource import Resource
from policies.rule import Outcome
from policies.values import UNKNOWN, Asset, Secret, Strange

URN = "urn:pulumi:prod::assistant::aws:s3/bucket:Bucket::audit"
KEY = "urn:pulumi:prod::assistant::aws:kms/key:Key::key"
RUN = {"source": "preview", "day": "2026-11-25", "version": "0.1.0", "stand_ins": True}
RESOURCE = Resource(
    urn=URN,
    type="aws:s3/bucket:Bucket",
    name="audit",
    properties={"bucket": "assistant-audit", "arn": UNKNOWN, "days": 3, "share": 0.5, "kept": True, "none": None},
    ignored_changes=("tags",),
    parent="urn:pulumi:prod::assistant::pulumi:pulumi:Stack::assistant-prod",
    dependencies=(KEY, URN),
    property_dependencies={"kmsKeyId": (KEY,), "bucket": ()},
    protected=True,
    provider="urn:pulumi:prod::assistant::pulumi:providers:aws::aws",
)
RESULTS = [
    Result("R17", URN, Outcome.FAIL, ("it is open",), "OPS-1"),
    Result("R39", URN, Outcome.PASS),
    Result("R64", "", Outcome.UNDETERMINED, ("later",)),
]


def of(**inputs: Any) -> Record:
    return record.of_run([Seen(RESOURCE, inputs)], RESULTS, **RUN)


def there_and_back(made: Record, folder: Path) -> Record:
    record.write(made, folder / "record.json")
    return record.read(folder / "record.json")


def test_project_and_stack_are_those_of_the_resources() -> None:
    assert (of().project, of().stack) == ("assistant", "prod")
    empty = record.of_run([], [], **RUN)
    assert (empty.project, empty.stack) == ("", "")


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    read = there_and_back(of(bucket="assistant-audit", list=[1, UNKNOWN], nested={"a": {"b": UNKNOWN}}), tmp_path)
    assert (read.project, read.stack, read.source, read.day) == ("assistant", "prod", "preview", "2026-11-25")
    assert (read.version, read.stand_ins) == ("0.1.0", True)
    assert list(read.results) == RESULTS
    (seen,) = read.resources
    assert seen.inputs == {"bucket": "assistant-audit", "list": [1, UNKNOWN], "nested": {"a": {"b": UNKNOWN}}}
    assert seen.resource.properties == RESOURCE.properties
    for name in ("urn", "type", "name", "parent", "protected", "provider", "ignored_changes"):
        assert getattr(seen.resource, name) == getattr(RESOURCE, name), name
    assert seen.resource.dependencies == tuple(sorted(RESOURCE.dependencies))
    assert seen.resource.property_dependencies == {"kmsKeyId": (KEY,)}  # an input that came of nothing says nothing


def test_the_same_run_is_written_byte_for_byte_alike(tmp_path: Path) -> None:
    for name, inputs in (("one", {"a": 1, "b": 2}), ("two", {"b": 2, "a": 1})):
        record.write(of(**inputs), tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert (tmp_path / "one").read_text().endswith("}\n")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (Secret("hunter2"), {"$secret": True}),
        (Secret({"a": ["hunter2"]}), {"$secret": True}),
        (UNKNOWN, {"$unknown": True}),
        (Asset("main.py", None), {"$asset": "main.py"}),
        (Asset("", "print('hunter2')"), {"$asset": "text"}),
        (Strange("a value of unknown signature"), {"$strange": "a value of unknown signature"}),
        ([Secret("a"), "b", {"c": UNKNOWN}], [{"$secret": True}, "b", {"c": {"$unknown": True}}]),
        (None, None),
        (True, True),
        (7, 7),
        (0.5, 0.5),
        ("text", "text"),
    ],
)
def test_what_is_of_no_plain_kind_has_a_mark(value: Any, written: Any) -> None:
    assert plain(value) == written


@pytest.mark.parametrize("value", [UNKNOWN, Asset("main.py"), Strange("x"), [1, {"a": UNKNOWN}], {"a": None}, "text", 7])
def test_a_mark_is_read_as_what_it_stands_for(value: Any) -> None:
    assert marked(plain(value)) == value


def test_a_secret_comes_back_as_a_mark_round_what_nobody_knows() -> None:
    secret = marked(plain(Secret("hunter2")))
    assert isinstance(secret, Secret)
    assert secret.value is UNKNOWN


def test_a_mapping_that_only_resembles_a_mark_is_a_mapping() -> None:
    for value in ({"$secret": False}, {"$secret": True, "b": 1}, {"$asset": "a", "b": 1}, {"$strange": "a", "b": 1}):
        assert marked(value) == value


def test_what_only_looks_like_a_secret_has_the_same_mark(canary: str) -> None:
    assert plain(canary) == {"$secret": True}
    assert plain({"environment": [{"name": "NOTE", "value": canary}]}) == {
        "environment": [{"name": "NOTE", "value": {"$secret": True}}]
    }


def test_a_text_under_the_name_of_a_secret_is_found_through_lists_and_mappings() -> None:
    assert plain({"passwords": ["hunter2-hunter2"]}) == {"passwords": [{"$secret": True}]}


def test_a_record_can_be_read_by_people(tmp_path: Path) -> None:
    record.write(of(description="审计日志"), tmp_path / "record.json")
    text = (tmp_path / "record.json").read_text(encoding="utf-8")
    assert "审计日志" in text
    assert '\n "day": "2026-11-25"' in text


def test_the_file_is_named_by_a_variable_that_the_documentation_names() -> None:
    assert record.VARIABLE == "ASSISTANT_POLICY_RECORD"


def test_what_only_looks_like_a_secret_is_left_out_too(canary: str, tmp_path: Path) -> None:
    made = of(note=canary, environment={"API_KEY": "hunter2"}, list=["fine", canary], apiKey="hunter2-hunter2")
    record.write(made, tmp_path / "record.json")
    text = (tmp_path / "record.json").read_text()
    assert canary not in text
    assert "hunter2" not in text
    assert "fine" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "is no record of a run of the policy pack (FileNotFoundError)"),
        ("not JSON", "is no record of a run of the policy pack (JSONDecodeError)"),
        ("[]", "is no record"),
        ("{}", "is no record of a run of the policy pack (KeyError)"),
        ('{"format": 2}', "is a record of format 2; this version reads format 1"),
        ('{"format": 1}', "is no record"),
        ("null", "is no record"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name(tmp_path: Path, content: str | None, words: str) -> None:
    file = tmp_path / "record.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(RecordMistake) as mistake:
        record.read(file)
    assert str(mistake.value).startswith(str(file))
    assert words in str(mistake.value)


@pytest.mark.parametrize("broken", [{"resources": [[]]}, {"resources": [{"properties": []}]}, {"results": [{"rule": "R1"}]}])
def test_a_record_that_was_edited_by_hand_is_refused_and_no_crash(tmp_path: Path, broken: dict[str, Any]) -> None:
    file = tmp_path / "record.json"
    document = {**record.encoded(of()), **broken}
    file.write_text(json.dumps(document))
    with pytest.raises(RecordMistake):
        record.read(file)


def test_an_outcome_that_there_is_not_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    document = record.encoded(of())
    document["results"][0]["outcome"] = "fine"
    file.write_text(json.dumps(document))
    with pytest.raises(RecordMistake):
        record.read(file)


def test_the_names_in_the_file_are_those_that_others_read() -> None:
    document = record.encoded(of(a=1))
    assert set(document) == {"format", "project", "stack", "source", "day", "standIns", "pack", "resources", "results"}
    assert (document["format"], document["pack"]) == (1, {"name": "assistant", "version": "0.1.0"})
    assert set(document["resources"][0]) == {
        "urn",
        "type",
        "name",
        "parent",
        "protect",
        "provider",
        "ignoreChanges",
        "dependencies",
        "propertyDependencies",
        "inputs",
        "properties",
    }
    assert document["results"][0] == {
        "rule": "R17",
        "urn": URN,
        "outcome": "fail",
        "reasons": ["it is open"],
        "waiver": "OPS-1",
    }
