"""The resource graph of a stack as a drawing of our own: a card for each component, an arrow where one needs another. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

Resource = Mapping[str, Any]
ROOT_TYPE = "pulumi:pulumi:Stack"
DEPTH = 2  # components below the outermost one that get cards of their own
LINES = 7  # kinds named on a card; further ones are counted
LONGEST, LONGEST_TITLE = 28, 21  # characters
WIDTH, LINE, HEAD, PAD = 200, 15, 38, 10  # pixels, as are the next
GAP_X, GAP_Y, MARGIN = 44, 14, 8


@dataclass(kw_only=True)
class Card:
    """``kinds``: type -> how many. ``needs``: keys of other cards."""

    key: str
    title: str
    group: str
    kinds: dict[str, int] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)

    @property
    def count(self) -> int:
        return sum(self.kinds.values())

    @property
    def lines(self) -> list[str]:
        listed = sorted(self.kinds.items(), key=lambda item: (-item[1], item[0]))
        shown = [_short(f"{number} × {kind}" if number > 1 else kind) for kind, number in listed[:LINES]]
        more = sum(number for _, number in listed[LINES:])
        return [*shown, *([f"and {more} more"] if more else [])]

    @property
    def height(self) -> int:
        return HEAD + LINE * len(self.lines) + PAD


def cards(exported: Resource) -> list[Card]:
    """Of what the engine's state knows; providers are left out."""
    resources = [
        resource
        for resource in (exported.get("deployment") or {}).get("resources") or ()
        if not resource["type"].startswith("pulumi:providers:") and resource["type"] != ROOT_TYPE
    ]
    by_urn = {resource["urn"]: resource for resource in resources}
    found: dict[str, Card] = {}
    holder: dict[str, str] = {}
    for resource in resources:
        if not resource.get("custom"):
            continue
        path = _path(resource, by_urn)
        key = "/".join(path) or "stack"
        holder[resource["urn"]] = key
        card = found.setdefault(key, Card(key=key, title=path[-1] if path else "stack", group=path[0] if path else ""))
        kind = _kind(resource["type"])
        card.kinds[kind] = card.kinds.get(kind, 0) + 1
    for resource in resources:
        mine = holder.get(resource["urn"])
        if mine is None:
            continue
        for needed in _needed(resource):
            other = holder.get(needed)
            if other is not None and other != mine:
                found[mine].needs.add(other)
    return list(found.values())


def _path(resource: Resource, by_urn: Mapping[str, Resource]) -> tuple[str, ...]:
    """Names of the components that hold it, the outermost left out where it holds all, at most :data:`DEPTH` of them."""
    names: list[str] = []
    above = by_urn.get(str(resource.get("parent")))
    while above is not None:
        if not above.get("custom"):
            names.append(str(above["urn"]).rpartition("::")[2])
        above = by_urn.get(str(above.get("parent")))
    return tuple(reversed(names))[1 : DEPTH + 1] or tuple(reversed(names))[:1]


def _needed(resource: Resource) -> Iterable[str]:
    yield from resource.get("dependencies") or ()
    for urns in (resource.get("propertyDependencies") or {}).values():
        yield from urns or ()


def _kind(token: str) -> str:
    """``aws:ec2/subnet:Subnet`` -> ``ec2 Subnet``; of what is neither AWS' nor Kubernetes' the name alone."""
    package, _, rest = token.partition(":")
    module, _, name = rest.partition(":")
    service = module.partition("/")[0] if package == "aws" else ""
    return f"{service} {name}".strip()


def _short(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def columns(found: Sequence[Card]) -> list[list[Card]]:
    """Each card right of all that it needs; of a circle, the first that was met stands first."""
    by_key = {card.key: card for card in found}
    depth: dict[str, int] = {}
    walking: set[str] = set()

    def walk(key: str) -> int:
        if key in depth:
            return depth[key]
        if key in walking:
            return -1
        walking.add(key)
        depth[key] = 1 + max((walk(other) for other in sorted(by_key[key].needs)), default=-1)
        walking.discard(key)
        return depth[key]

    for card in found:
        walk(card.key)
    result: list[list[Card]] = [[] for _ in range(1 + max(depth.values(), default=0))]
    for card in sorted(found, key=lambda card: (card.group, card.title)):
        result[depth[card.key]].append(card)
    return [column for column in result if column]


def drawing(exported: Resource) -> str:
    """SVG. The colours are the page's variables, so that it follows a dark screen."""
    placed: dict[str, tuple[int, int, Card]] = {}
    laid = columns(cards(exported))
    heights = [sum(card.height + GAP_Y for card in column) for column in laid]
    height = max(heights, default=0) + 2 * MARGIN
    for index, column in enumerate(laid):
        y = MARGIN + (height - 2 * MARGIN - heights[index]) // 2
        for card in column:
            placed[card.key] = (MARGIN + index * (WIDTH + GAP_X), y, card)
            y += card.height + GAP_Y
    width = 2 * MARGIN + len(laid) * (WIDTH + GAP_X) - GAP_X
    arrows = [_arrow(placed[other], here) for here in placed.values() for other in sorted(_direct(here[2], placed))]
    boxes = [_box(*place) for place in placed.values()]
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="components of the stack and what each needs" xmlns="http://www.w3.org/2000/svg">'
        f"{''.join(arrows)}{''.join(boxes)}</svg>"
    )


def _direct(card: Card, placed: Mapping[str, tuple[int, int, Card]]) -> set[str]:
    """What it needs, less what it needs through another that it needs: fewer arrows say the same."""
    by_others = {far for near in card.needs for far in _all_needed(near, placed, {card.key}) if far != near}
    return {key for key in card.needs - by_others if key in placed}


def _all_needed(key: str, placed: Mapping[str, tuple[int, int, Card]], seen: set[str]) -> set[str]:
    found: set[str] = set()
    for other in placed[key][2].needs:
        if other not in seen and other in placed:
            found |= {other} | _all_needed(other, placed, seen | {key, other})
    return found


def _box(x: int, y: int, card: Card) -> str:
    lines = "".join(
        f'<text x="{x + PAD}" y="{y + HEAD + 8 + LINE * index}" class="kind">{escape(line)}</text>'
        for index, line in enumerate(card.lines)
    )
    title = escape(_short(card.title, LONGEST_TITLE))
    return (
        f'<g><rect x="{x}" y="{y}" width="{WIDTH}" height="{card.height}" rx="6" class="card {_tone(card)}"/>'
        f'<text x="{x + PAD}" y="{y + 22}" class="title">{title}</text>'
        f'<text x="{x + WIDTH - PAD}" y="{y + 22}" class="count">{card.count}</text>{lines}'
        f"<title>{escape(card.key)}: {card.count} resources</title></g>"
    )


def _tone(card: Card) -> str:
    kubernetes = sum(number for kind, number in card.kinds.items() if " " not in kind)
    return "kubernetes" if 2 * kubernetes > card.count else "aws"


def _arrow(source: tuple[int, int, Card], target: tuple[int, int, Card]) -> str:
    """From what is needed to what needs it."""
    x1, y1 = source[0] + WIDTH, source[1] + HEAD // 2
    x2, y2 = target[0], target[1] + HEAD // 2
    bend = max(GAP_X, abs(x2 - x1)) // 2
    return f'<path d="M{x1} {y1} C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" class="arrow"/>'
