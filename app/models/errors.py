"""What can go wrong with a model. The message is for the person who asked: what came, what is allowed, what to do."""

from __future__ import annotations


class ModelError(Exception):
    """A model could not be fetched, converted, admitted or stored."""


class SourceError(ModelError):
    """The source, or what it delivered, is not what was asked for."""


class UnsupportedModelError(ModelError):
    """The file is read, but its architecture, tokenizer or a tensor of it is none that this exporter knows."""


class GateError(ModelError):
    """The quantised model strays too far from FP32; nothing was published."""


class StoreError(ModelError):
    """The model store cannot be written: permissions, a full disk."""


class ManifestError(ModelError):
    """There is no manifest, or it does not describe a model."""


class ModelIntegrityError(ModelError):
    """A file of the model is not the one that its manifest names."""
