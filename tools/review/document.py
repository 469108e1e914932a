"""A review as JSON, for other programs. Pure."""

from __future__ import annotations

from typing import Any

from tools.review.review import Review

FORMAT = 1


def document(review: Review) -> dict[str, Any]:
    costs = review.costs
    return {
        "format": FORMAT,
        "stack": review.stack,
        "against": review.against,
        "blind": review.blind,
        "verdict": review.verdict.name.lower().replace("_", "-"),
        "code": int(review.verdict),
        "labels": sorted(review.labels),
        "notes": list(review.notes),
        "refusals": list(review.refusals),
        "counts": {kind.value: number for kind, number in review.counted().items()} | {"same": review.unchanged},
        "blastRadius": [
            {"urn": hit.urn, "name": hit.name, "type": hit.type, "what": hit.what, "lost": hit.loss}
            for hit in review.blast_radius
        ],
        "policiesAsked": review.findings is not None,
        "findings": [
            {
                "rule": one.rule,
                "severity": one.severity.value,
                "controls": list(one.controls),
                "urn": one.urn,
                "outcome": one.outcome.value,
                "reasons": list(one.reasons),
                "waiver": one.waiver,
                "fails": one.fails,
            }
            for one in review.findings or ()
        ],
        "monthlyCost": {
            "idle": costs.after.idle if costs and costs.after else None,
            "maximum": costs.after.maximum if costs and costs.after else None,
            "change": costs.change if costs else None,
            "lines": dict(costs.moved) if costs else {},
        },
        "changes": [
            {
                "urn": change.urn,
                "kind": change.kind.value,
                "properties": [{"path": entry.path, "replaces": entry.replaces} for entry in change.properties],
            }
            for change in review.changes
        ],
    }
