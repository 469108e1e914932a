"""The API's documentation: the OpenAPI document, and one page made from it.

Swagger UI comes from a CDN, which a machine without internet does not reach and a strict content policy does not load. This
page is plain HTML made once at the start: no script, nothing fetched, readable on a telephone and printable.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

from fastapi import FastAPI

from app.gateway.routes import Authentication, RouteTable

SCHEMES: dict[Authentication, dict[str, str]] = {
    Authentication.API_KEY: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `Authorization: Bearer <key>`. `make outputs` shows the stack's own on request. A tenant's "
        "key, or a token of the identity provider, may do what its roles permit.",
    },
    Authentication.PLATFORM: {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "Standard Webhooks: `webhook-id`, `webhook-timestamp` (Unix seconds, 300 s either way) and "
        "`webhook-signature`, `v1,` and base64 of HMAC-SHA256 over `id.timestamp.body`.",
    },
}
LABELS = {Authentication.API_KEY: "API key", Authentication.PLATFORM: "signature", Authentication.NONE: "open"}
STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1.5rem;color:#1b1f24;background:#fff}
h1{margin-bottom:0}h2{margin:2.5rem 0 .5rem;font-size:1.15rem}h3{font-size:.95rem;margin:1rem 0 .3rem}
code,pre{font:14px/1.45 ui-monospace,monospace}pre{background:#f3f5f7;padding:.8rem;overflow-x:auto;border-radius:6px}
.method{background:#0b5cad;color:#fff;padding:.1rem .5rem;border-radius:4px;font-size:.85rem}.get{background:#1a7f4b}
.open,.key{font-size:.8rem;border:1px solid #8a939d;border-radius:99px;padding:.05rem .6rem;margin-left:.6rem;font-weight:400}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.3rem .6rem;border-bottom:1px solid #d7dce1;
vertical-align:top}th{font-weight:600}
@media(prefers-color-scheme:dark){body{background:#15181c;color:#e3e7eb}pre{background:#22272d}a{color:#7db4ee}
th,td{border-color:#3a424b}}
"""
POLICY = (
    "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'"
)

Json = dict[str, Any]


def secure(document: Json, table: RouteTable) -> Json:
    """``document`` with the security of each operation as the table has it, so that the two cannot disagree."""
    document.setdefault("components", {})["securitySchemes"] = {scheme.value: SCHEMES[scheme] for scheme in SCHEMES}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            # OpenAPI knows no {name:path}; FastAPI writes {name} for it.
            entry = next(
                route for route in table.routes if route.path.replace(":path}", "}") == path and route.method == method.upper()
            )
            open_to_all = entry.authentication is Authentication.NONE
            operation["security"] = [] if open_to_all else [{entry.authentication.value: []}]
            operation.get("responses", {}).pop("422", None)  # a refusal has another form and status here
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"].get("schemas", {}).pop(unused, None)
    return document


def openapi_of(app: FastAPI, table: RouteTable) -> Json:
    return secure(app.openapi(), table)


def page(document: Json) -> str:
    """The whole of ``document`` as one HTML page."""
    info = document["info"]
    return "".join(
        (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])}</title>',
            '<meta name="viewport" content="width=device-width,initial-scale=1">',
            f"<style>{STYLE}</style></head><body>",
            f"<h1>{escape(info['title'])}</h1><p>{_text(info.get('description', ''))}</p>",
            '<p>Machine-readable: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1)</p>',
            *_operations(document),
            *_authentication(document),
            "</body></html>",
        )
    )


def _operations(document: Json) -> Iterator[str]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            names = [name for requirement in operation["security"] for name in requirement]
            label = LABELS[Authentication(names[0])] if names else LABELS[Authentication.NONE]
            yield f'<h2><span class="method {escape(method)}">{escape(method.upper())}</span> <code>{escape(path)}</code>'
            yield f'<span class="{"key" if names else "open"}">{escape(label)}</span></h2>'
            yield f"<p><strong>{escape(operation.get('summary', ''))}.</strong> {_text(operation.get('description', ''))}</p>"
            yield _parameters(document, operation.get("parameters", ()))
            if body := operation.get("requestBody"):
                schema = _resolve(document, body["content"]["application/json"]["schema"])
                yield "<h3>Body</h3>" + _fields(document, schema) + _example(schema)
            yield "<h3>Answers</h3><table><tr><th>Status</th><th>Meaning</th></tr>"
            for status, response in operation.get("responses", {}).items():
                yield f"<tr><td><code>{escape(status)}</code></td><td>{_text(response.get('description', ''))}</td></tr>"
            yield "</table>"
            if good := _schema_of(document, operation.get("responses", {}).get("200", {})):
                yield f"<h3>Body of 200</h3>{_fields(document, good)}{_example(good)}"


def _authentication(document: Json) -> Iterator[str]:
    yield "<h2>Authentication</h2><table><tr><th>Kind</th><th>How</th></tr>"
    for name, scheme in document["components"]["securitySchemes"].items():
        yield f"<tr><td>{escape(LABELS[Authentication(name)])}</td><td>{_text(scheme['description'])}</td></tr>"
    yield "</table><h2>Errors</h2><p>Every refusal has this body; <code>code</code> is stable.</p>"
    yield _example(document["components"]["schemas"]["ErrorResponse"])


def _parameters(document: Json, parameters: Iterable[Json]) -> str:
    fields = {
        parameter["name"]: {"description": parameter.get("description", "")} | parameter["schema"] for parameter in parameters
    }
    required = [parameter["name"] for parameter in parameters if parameter.get("required")]
    return "<h3>Parameters</h3>" + _fields(document, {"properties": fields, "required": required}) if fields else ""


def _fields(document: Json, schema: Json) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(_kind(document, field))}</td>"
        f"<td>{'required' if name in required else 'optional'}</td><td>{_text(field.get('description', ''))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table><tr><th>Field</th><th>Type</th><th></th><th></th></tr>{rows}</table>" if rows else ""


def _example(schema: Json) -> str:
    examples = schema.get("examples")
    return f"<pre>{escape(json.dumps(examples[0], ensure_ascii=False, indent=2))}</pre>" if examples else ""


def _schema_of(document: Json, response: Json) -> Json:
    schema = response.get("content", {}).get("application/json", {}).get("schema")
    return _resolve(document, schema) if schema else {}


def _resolve(document: Json, schema: Mapping[str, Any]) -> Json:
    reference = schema.get("$ref")
    return document["components"]["schemas"][reference.rsplit("/", 1)[1]] if reference else dict(schema)


def _kind(document: Json, field: Json) -> str:
    field = _resolve(document, field)
    if choices := field.get("enum"):
        return " | ".join(str(choice) for choice in choices)
    if alternatives := field.get("anyOf"):
        return " | ".join(_kind(document, alternative) for alternative in alternatives if alternative.get("type") != "null")
    if field.get("type") == "array":
        return f"list of {_kind(document, field['items'])}"
    if field.get("type") == "object" and "properties" in field:
        return "{" + ", ".join(field["properties"]) + "}"
    longest = f", at most {field['maxLength']:,} characters" if "maxLength" in field else ""
    return str(field.get("type", "")) + longest


def _text(markdown: str) -> str:
    """The little Markdown that our descriptions use: `code` and [links](…)."""
    pieces = escape(markdown).split("`")
    joined = "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))
    before, bracket, rest = joined.partition("[")
    label, middle, rest = rest.partition("](")
    target, end, after = rest.partition(")")
    if bracket and middle and end and target.startswith("https://"):
        return f'{before}<a href="{target}">{label}</a>{after}'
    return joined
