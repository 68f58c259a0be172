"""Masks of shared nodes: each is made once for each space, when it is first asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.core.language import Comparison
from rules.core.vectors import Level, Mask, RowSpace, Space, all_of, any_of, compare, negated


@dataclass(frozen=True, slots=True)
class SharedNode:
    """A shared node: a comparison, or a group ("all", "any", "not") of earlier nodes."""

    level: Level
    comparison: Comparison | None
    group: str
    children: tuple[int, ...]


class Masks:
    """The masks of one space, each made when it is first asked for."""

    def __init__(self, nodes: Sequence[SharedNode], space: Space) -> None:
        self._nodes = nodes
        self._space = space
        self._known: dict[int, Mask] = {}

    def of(self, place: int) -> Mask:
        if place not in self._known:
            self._known[place] = self._make(self._nodes[place])
        return self._known[place]

    def _make(self, node: SharedNode) -> Mask:
        if node.comparison is not None:
            return compare(node.comparison, self._space)
        masks = [self.of(child) for child in node.children]
        if node.group == "not":
            return negated(masks[0])
        return all_of(masks) if node.group == "all" else any_of(masks)


class RowMasks(Masks):
    """Masks of rows: nodes of the other spaces are evaluated there and lifted."""

    def __init__(
        self,
        nodes: Sequence[SharedNode],
        space: RowSpace,
        *,
        market: Masks,
        owners: Masks,
        bounds: Mapping[int, slice],
    ) -> None:
        super().__init__(nodes, space)
        self._lifts = {
            Level.MARKET: (market, space.symbol_places),
            Level.OWNER: (owners, space.owner_places),
        }
        self.names = space.names
        self.bounds = bounds

    def of(self, place: int) -> Mask:
        level = self._nodes[place].level
        if level is Level.ROW or place in self._known:
            return super().of(place)
        masks, places = self._lifts[level]
        true, known = masks.of(place)
        self._known[place] = (true[places], known[places])
        return self._known[place]
