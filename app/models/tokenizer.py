"""``tokenizer.json`` of the Hugging Face ``tokenizers`` library, rebuilt from the metadata of a GGUF file.

GGUF names the pre-tokenisation (``tokenizer.ggml.pre``) instead of describing it; the table below gives what each name means,
as llama.cpp's ``llama-vocab.cpp`` defines it. A name that is not in the table was not proved against llama.cpp and is refused:
a wrong split changes tokens silently.
"""

from __future__ import annotations

from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from app.models.errors import UnsupportedModelError
from app.models.gguf import GgufFile
from app.models.manifest import TokenizerRecord

# tokenizer.ggml.token_type (llama.cpp, LLAMA_TOKEN_TYPE_*)
CONTROL, USER_DEFINED = 3, 4
# Control tokens that end a generation wherever a vocabulary has them (llama.cpp, llama_vocab::impl::load, "special_eog_ids").
END_TOKENS = frozenset({"<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eot_id|>", "<|eom_id|>", "<|end|>", "</s>"})


def pre_tokenizer(name: str) -> Any:
    """The splitter that ``tokenizer.ggml.pre`` names. Raises :class:`UnsupportedModelError`."""
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    known = {
        "gpt-2": byte_level,
        "smollm": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level]),
    }
    if name not in known:
        raise UnsupportedModelError(f"pre-tokenizer {name!r}; supported are {', '.join(sorted(known))}")
    return known[name]


def rebuild(file: GgufFile) -> tuple[Tokenizer, TokenizerRecord]:
    """The tokenizer, which adds no token of its own to a text, and the ids that generation needs."""
    model = file.require("tokenizer.ggml.model", str)
    if model != "gpt2":
        raise UnsupportedModelError(f"{file.path.name}: tokenizer model {model!r}; byte-level BPE ('gpt2') is supported")
    tokens: list[str] = file.require("tokenizer.ggml.tokens", list)
    merges: list[str] = file.require("tokenizer.ggml.merges", list)
    types: list[int] = file.require("tokenizer.ggml.token_type", list)
    vocabulary = {token: index for index, token in enumerate(tokens)}
    embedding = file.tensors.get("token_embd.weight")
    if len(vocabulary) != len(tokens) or len(types) != len(tokens) or (embedding and embedding.shape[0] < len(tokens)):
        raise UnsupportedModelError(
            f"{file.path.name}: {len(tokens)} tokens do not fit token types, embedding or are not unique"
        )
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[_pair(file, merge) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizer(file.require("tokenizer.ggml.pre", str))
    tokenizer.decoder = decoders.ByteLevel()
    added = [(token, kind) for token, kind in zip(tokens, types, strict=True) if kind in (CONTROL, USER_DEFINED)]
    tokenizer.add_special_tokens(
        [AddedToken(token, special=True, normalized=False) for token, kind in added if kind == CONTROL]
    )
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token, kind in added if kind == USER_DEFINED])
    return tokenizer, _record(file, {token for token, kind in added if kind == CONTROL}, vocabulary)


def _record(file: GgufFile, control: set[str], vocabulary: dict[str, int]) -> TokenizerRecord:
    def token_id(key: str) -> int | None:
        value = file.metadata.get(f"tokenizer.ggml.{key}_token_id")
        if value is not None and not (isinstance(value, int) and 0 <= value < len(vocabulary)):
            raise UnsupportedModelError(f"{file.path.name}: {key}_token_id {value!r} is not in the vocabulary")
        return value

    named = {index for key in ("eos", "eot", "eom") if (index := token_id(key)) is not None}
    ends = named | {vocabulary[token] for token in control & END_TOKENS}
    if not ends:
        raise UnsupportedModelError(f"{file.path.name}: no end token is named; a generation would never stop")
    template = file.metadata.get("tokenizer.chat_template")
    return TokenizerRecord(
        bos=token_id("bos"),
        eos_ids=sorted(ends),
        add_bos=bool(file.metadata.get("tokenizer.ggml.add_bos_token", False)),
        chat_template=template if isinstance(template, str) else None,
    )


def _pair(file: GgufFile, merge: str) -> tuple[str, str]:
    left, separator, right = merge.partition(" ")
    if not (left and separator and right):
        raise UnsupportedModelError(f"{file.path.name}: merge {merge!r} is not two tokens")
    return left, right
