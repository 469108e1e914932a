"""What of SARIF 2.1.0 and OSCAL 1.1.3 the bundle uses, as JSON Schema: written here from their specifications, and closed, so
that a property that they do not have is a mistake."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

UUID: Schema = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[45][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"}
TEXT: Schema = {"type": "string", "minLength": 1}
TOKEN: Schema = {"type": "string", "pattern": r"^[^\W\d][\w.\-]*$"}
VALUE: Schema = {"type": "string", "pattern": r"^\S(.*\S)?$"}
URI: Schema = {"type": "string", "pattern": r"^[a-zA-Z][a-zA-Z0-9+\-.]+:.+$"}
TIME: Schema = {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}


def of(required: dict[str, Schema], optional: dict[str, Schema] | None = None) -> Schema:
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}


def some(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}


def many(item: Schema) -> Schema:
    return {"type": "array", "items": item}


PROPS = some(of({"name": TOKEN, "value": VALUE}, {"ns": URI}))
OBSERVED = some(of({"observation-uuid": UUID}))

OSCAL = of(
    {
        "assessment-results": of(
            {
                "uuid": UUID,
                "metadata": of({"title": TEXT, "last-modified": TIME, "version": VALUE, "oscal-version": VALUE}),
                "import-ap": of({"href": TEXT}),
                "results": some(
                    of(
                        {
                            "uuid": UUID,
                            "title": TEXT,
                            "description": TEXT,
                            "start": TIME,
                            "reviewed-controls": of(
                                {"control-selections": some(of({"include-controls": some(of({"control-id": TOKEN}))}))}
                            ),
                        },
                        {
                            "end": TIME,
                            "props": PROPS,
                            "local-definitions": of(
                                {"inventory-items": some(of({"uuid": UUID, "description": TEXT}, {"props": PROPS}))}
                            ),
                            "observations": some(
                                of(
                                    {
                                        "uuid": UUID,
                                        "description": TEXT,
                                        "methods": some({"enum": ["EXAMINE", "INTERVIEW", "TEST", "UNKNOWN"]}),
                                        "collected": TIME,
                                    },
                                    {
                                        "title": TEXT,
                                        "props": PROPS,
                                        "types": some(TOKEN),
                                        "subjects": some(of({"subject-uuid": UUID, "type": TOKEN})),
                                        "relevant-evidence": some(of({"description": TEXT})),
                                    },
                                )
                            ),
                            "risks": some(
                                of(
                                    {"uuid": UUID, "title": TEXT, "description": TEXT, "statement": TEXT, "status": TOKEN},
                                    {
                                        "props": PROPS,
                                        "deadline": TIME,
                                        "remediations": some(
                                            of({"uuid": UUID, "lifecycle": TOKEN, "title": TEXT, "description": TEXT})
                                        ),
                                        "related-observations": OBSERVED,
                                    },
                                )
                            ),
                            "findings": some(
                                of(
                                    {
                                        "uuid": UUID,
                                        "title": TEXT,
                                        "description": TEXT,
                                        "target": of(
                                            {
                                                "type": {"enum": ["statement-id", "objective-id"]},
                                                "target-id": TOKEN,
                                                "status": of(
                                                    {"state": {"enum": ["satisfied", "not-satisfied"]}},
                                                    {"reason": {"enum": ["pass", "fail", "other"]}, "remarks": TEXT},
                                                ),
                                            },
                                            {"title": TEXT, "description": TEXT},
                                        ),
                                    },
                                    {"related-observations": OBSERVED, "related-risks": some(of({"risk-uuid": UUID}))},
                                )
                            ),
                        },
                    )
                ),
            },
            {
                "back-matter": of(
                    {
                        "resources": some(
                            of({"uuid": UUID}, {"title": TEXT, "description": TEXT, "rlinks": some(of({"href": TEXT}))})
                        )
                    }
                )
            },
        )
    }
)

MESSAGE = of({"text": TEXT})
PLACE: Schema = {"type": "integer", "minimum": 0}
COMPONENT = of({"name": TEXT, "index": PLACE})
LEVEL: Schema = {"enum": ["none", "note", "warning", "error"]}
BAG: Schema = {"type": "object"}

SARIF = of(
    {
        "version": {"const": "2.1.0"},
        "runs": some(
            of(
                {
                    "tool": of(
                        {
                            "driver": of(
                                {"name": TEXT},
                                {
                                    "version": TEXT,
                                    "informationUri": URI,
                                    "supportedTaxonomies": many(COMPONENT),
                                    "rules": many(
                                        of(
                                            {"id": TEXT},
                                            {
                                                "name": TEXT,
                                                "shortDescription": MESSAGE,
                                                "fullDescription": MESSAGE,
                                                "helpUri": URI,
                                                "help": MESSAGE,
                                                "defaultConfiguration": of({"level": LEVEL}),
                                                "properties": BAG,
                                                "relationships": many(
                                                    of(
                                                        {"target": of({"id": TEXT, "toolComponent": COMPONENT})},
                                                        {"kinds": some(TEXT)},
                                                    )
                                                ),
                                            },
                                        )
                                    ),
                                },
                            )
                        }
                    ),
                    "results": many(
                        of(
                            {"message": MESSAGE},
                            {
                                "ruleId": TEXT,
                                "ruleIndex": PLACE,
                                "kind": {"enum": ["pass", "open", "informational", "notApplicable", "review", "fail"]},
                                "level": LEVEL,
                                "locations": many(
                                    of(
                                        {
                                            "physicalLocation": of(
                                                {"artifactLocation": of({"uri": TEXT})},
                                                {"region": of({"startLine": {"minimum": 1}})},
                                            )
                                        },
                                        {
                                            "logicalLocations": many(
                                                of({"fullyQualifiedName": TEXT}, {"name": TEXT, "kind": TEXT})
                                            )
                                        },
                                    )
                                ),
                                "partialFingerprints": {"type": "object", "additionalProperties": TEXT},
                                "properties": BAG,
                                "suppressions": many(
                                    of(
                                        {"kind": {"enum": ["inSource", "external"]}},
                                        {"status": {"enum": ["accepted", "underReview", "rejected"]}, "justification": TEXT},
                                    )
                                ),
                            },
                        )
                    ),
                },
                {
                    "taxonomies": many(
                        of(
                            {"name": TEXT},
                            {
                                "version": TEXT,
                                "organization": TEXT,
                                "shortDescription": MESSAGE,
                                "taxa": many(of({"id": TEXT}, {"shortDescription": MESSAGE})),
                            },
                        )
                    ),
                    "automationDetails": of({"id": TEXT}),
                    "invocations": many(of({"executionSuccessful": {"type": "boolean"}})),
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "properties": BAG,
                },
            )
        ),
    },
    {"$schema": URI},
)
