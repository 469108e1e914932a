"""What decides the bytes of a converted model: the GGUF file, the precision and this converter. Light to import."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from app.models import default
from app.models.errors import GateError
from app.models.manifest import Gate, Precision, Thresholds
from app.models.sources import Source

# Raise it with every change to the graph, the quantisation, the tokenizer or the gate: older entries are then not found again.
CONVERTER = 2
DEFAULT_THRESHOLDS = Thresholds(max_kl=default.MAX_KL, min_top1=default.MIN_TOP1)


@dataclass(frozen=True, kw_only=True)
class Recipe:
    source: Source
    precision: Precision = "int8"
    thresholds: Thresholds = DEFAULT_THRESHOLDS

    @property
    def key(self) -> str:
        """Names the recipe in the store. Thresholds admit a model, they do not change it."""
        content = {"gguf": self.source.sha256, "precision": self.precision, "converter": CONVERTER}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def admit(gate: Gate, wanted: Thresholds) -> None:
    """Raises :class:`GateError` with the figures and the thresholds. NaN passes none."""
    if gate.kl <= wanted.max_kl and gate.top1 >= wanted.min_top1:
        return
    raise GateError(
        f"the quantised model strays too far from FP32 (means over {gate.tokens} tokens of the bundled text):\n"
        f"  KL divergence   {gate.kl:.5f}, at most {wanted.max_kl} is allowed\n"
        f"  same top token  {gate.top1:.2%}, at least {wanted.min_top1:.2%} is needed\n"
        f"  perplexity      {gate.perplexity:.2f}, FP32 has {gate.perplexity_fp32:.2f}\n"
        "Use --precision fp32, or loosen --max-kl and --min-top1 knowingly."
    )
