"""Find the leading layers that models have in common, with the same weights: these can run once for all of them.

All models are the same up to some chokepoint. There they fork: some may stay the same for longer, as a smaller group
with a longer stem. A problem has only one stem; here it follows the largest group at each fork.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from mainstream.errors import ProblemError
from mainstream.trainer.leading_layers import ONNX, Form, LeadingLayers, leading_layers

_WEIGHTS: Final = "other weights"
_LAYER: Final = "another layer"
_FRAME: Final = "frames of another size or type"


class Place(NamedTuple):
    """Where a model is cut.

    Attributes
    ----------
    num_frozen : int or None
        Layers before it; None if nothing says how the layers of a frozen graph are numbered.
    layer : str
        The tensor there, as a net plan names it.
    """

    num_frozen: int | None
    layer: str


@dataclass(frozen=True)
class Group:
    """Models whose leading layers are the same.

    Attributes
    ----------
    places : mapping of str to Place
        Model -> the deepest chokepoint up to which it is the same as all others of the group.
    of_stem : bool
        Whether its stem is part of the problem's stem; if not, the group would need a stem of its own.
    forks : tuple of str
        The next layers, which differ, and in which models; one line each.
    """

    places: Mapping[str, Place]
    of_stem: bool
    forks: tuple[str, ...]


@dataclass(frozen=True)
class Sharing:
    """What models share.

    Attributes
    ----------
    groups : tuple of Group
        The first group has all models; each is followed by the groups inside it, the largest first.
    stem : mapping of str to Place
        Model -> how far it is the same as the stem of the problem.
    same : tuple of tuple of str
        Groups of models that are the same to the end.
    """

    groups: tuple[Group, ...]
    stem: Mapping[str, Place]
    same: tuple[tuple[str, ...], ...]


def shared_layers(paths: Sequence[str | Path], numbers: Mapping[str, int] | None = None) -> Sharing:
    """Compare the leading layers of models.

    Parameters
    ----------
    paths : sequence of str or Path
        Two or more: Keras models, ``.keras``; frozen graphs, ``.pb``; ONNX models, ``.onnx``. If one is an ONNX model,
        the others are converted to ONNX, as the engine onnx does, before they are compared.
    numbers : mapping of str to int, optional
        Layer names of a profile -> `num_frozen`, for frozen graphs, which do not number their layers. Without it they
        get the numbers of a Keras model among `paths` that is the same up to there.

    Raises
    ------
    MissingExtraError
        TensorFlow, or onnx, is not installed.
    ProblemError
        There are fewer than two, one is given twice, or one cannot be read.
    """
    names = [str(path) for path in paths]
    if len(names) < 2:
        raise ProblemError(f"models: got {len(names)}; give two or more to compare")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ProblemError(f"models: {twice[0]} is given twice")
    as_onnx = any(Path(name).suffix == ONNX for name in names)
    compared = _Compared({name: leading_layers(Path(name), numbers or {}, as_onnx=as_onnx) for name in names})
    groups = tuple(compared.groups(names, of_stem=True))
    stem = {name: place for group in groups if group.of_stem for name, place in group.places.items()}
    return Sharing(groups, stem, tuple(compared.same()))


class _Compared:
    """Models, and which of their chokepoints are the same.

    Prints of one tensor are joined (union-find): `_meaning` leads from each print to one that represents all of them.
    """

    def __init__(self, models: Mapping[str, LeadingLayers]) -> None:
        self._models = models
        self._meaning: dict[bytes, bytes] = {}
        for model in models.values():
            for prints in (*(place.prints for place in model.chokepoints), model.result):
                first, *others = {self._root(one) for one in prints}
                self._meaning |= dict.fromkeys(others, first)
        self._places = {
            name: {self._of(one.prints): Place(one.num_frozen, one.layer) for one in model.chokepoints}
            for name, model in models.items()
        }
        self._numbers = {
            point: place.num_frozen
            for places in self._places.values()
            for point, place in places.items()
            if place.num_frozen is not None
        }

    def _root(self, one: bytes) -> bytes:
        while (other := self._meaning.get(one, one)) != one:
            one = other
        return one

    def _of(self, prints: frozenset[bytes]) -> bytes:
        """The print that represents all tensors that are the same."""
        return self._root(next(iter(prints)))

    def same(self) -> Iterator[tuple[str, ...]]:
        """Models whose results are the same."""
        ends: dict[bytes, list[str]] = {}
        for name, model in self._models.items():
            ends.setdefault(self._of(model.result), []).append(name)
        return (tuple(names) for names in ends.values() if len(names) > 1)

    def groups(self, names: Sequence[str], *, of_stem: bool) -> Iterator[Group]:
        """The group of these models, followed by the groups inside it, the largest first."""
        common = [one for one in self._places[names[0]] if all(one in self._places[name] for name in names)]
        if common:
            places = {name: self._numbered(self._places[name][common[-1]], common[-1]) for name in names}
        else:
            places = {name: Place(0, next(iter(self._places[name].values())).layer) for name in names}
        parts = self._parts(names, {*common})
        yield Group(places, of_stem, tuple(self._forks(parts, places)))
        for place, part in enumerate(parts):
            if len(part) > 1:
                yield from self.groups(part, of_stem=of_stem and not place)

    def _numbered(self, place: Place, point: bytes) -> Place:
        """A place with its own number, or with that of another model that is the same up to there."""
        return place if place.num_frozen is not None else Place(self._numbers.get(point), place.layer)

    def _parts(self, names: Sequence[str], common: set[bytes]) -> list[list[str]]:
        """The models in parts, the largest first; models in one part are the same beyond what all have in common."""
        parts: list[list[str]] = []
        for name in names:
            beyond = self._places[name].keys() - common
            for part in parts:
                if beyond & self._places[part[0]].keys():
                    part.append(name)
                    break
            else:
                parts.append([name])
        return sorted(parts, key=len, reverse=True)

    def _forks(self, parts: Sequence[Sequence[str]], places: Mapping[str, Place]) -> Iterator[str]:
        """How the other parts differ from the first, behind the places up to which all models are the same."""
        found: dict[tuple[str, str], list[str]] = {}
        for part in parts[1:]:
            difference = self._difference(parts[0][0], part[0], places[part[0]].layer)
            if difference is not None:
                found.setdefault(difference, []).extend(part)
        first = ", ".join(parts[0])
        for (layer, how), names in found.items():
            yield f"{layer}: {how} in {', '.join(names)} than in {first}"

    def _difference(self, one: str, other: str, behind: str) -> tuple[str, str] | None:
        """The first layer of the other model that the one does not have, and how it differs; None if there is none.

        The models are compared as they are in their files. They are compared with folded batch norms if only then they
        are the same as far as `behind`, or only then have the same layers.
        """
        first, second = self._models[one], self._models[other]
        found = _first_other(first.plain, second.plain)
        if found is None:
            return None
        same = next(one.prints for one in second.chokepoints if one.layer == behind)
        known = [second.plain.prints[step.gives[0]].whole in same for step in second.plain.steps]
        before = known.index(True)
        if found.place <= before or found.how == _LAYER:
            folded = _first_other(first.folded, second.folded)
            if folded is None:
                return None
            if found.place <= before or folded.how != _LAYER:
                found = folded
        return found.layer, found.how


class _Other(NamedTuple):
    place: int
    layer: str
    how: str


def _first_other(one: Form, other: Form) -> _Other | None:
    """The first step of the other form that the one does not have."""
    wholes = {print_.whole for print_ in one.prints.values()}
    forms = {print_.form for print_ in one.prints.values()}
    for place, step in enumerate(other.steps):
        print_ = other.prints[step.gives[0]]
        if print_.whole not in wholes:
            how = _WEIGHTS if print_.form in forms else _LAYER if step.takes else _FRAME
            return _Other(place, step.name, how)
    return None
