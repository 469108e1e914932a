"""Which model a stack's settings mean, in the words of its converter. The recipe's key is known before the model is made."""

from __future__ import annotations

from app.models.manifest import Thresholds
from app.models.recipe import Recipe
from app.models.sources import Source, parse
from infra.settings import Settings


def recipe(settings: Settings) -> Recipe:
    model = settings.model
    return Recipe(
        source=parse(model.source, model.sha256) if model.is_pinned else _not_yet_pinned(model.source),
        precision=model.precision,
        thresholds=Thresholds(max_kl=model.max_kl, min_top1=model.min_top1),
    )


def _not_yet_pinned(source: str) -> Source:
    """For a preview alone, which shows zeros where revision and digest will be; :mod:`infra.__main__` refuses an update."""
    repository, _, file = source.partition("#")
    return parse(f"{repository}@{'0' * 40}#{file}", "0" * 64)


def converter_options(wanted: Recipe) -> list[str]:
    """The command line of ``app.models``, less where the result goes."""
    return [
        *("--source", wanted.source.uri),
        *("--sha256", wanted.source.sha256),
        *("--precision", wanted.precision),
        *("--max-kl", f"{wanted.thresholds.max_kl:g}"),
        *("--min-top1", f"{wanted.thresholds.min_top1:g}"),
    ]
