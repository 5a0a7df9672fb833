"""The network of an M-Package, for a profile of the files that will run, cut at the package's chokepoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mainstream.errors import ProblemError
from mainstream.formats.package import Package, read_package
from mainstream.problem import Precision, canonical
from mainstream.trainer.networks import KNOWN


@dataclass(frozen=True)
class PackageNetwork:
    """A model of an M-Package; layers are numbered as in the package.

    Attributes
    ----------
    name : str
        Of the base network, as a profile of it is called: "mobilenetv2-96", in 8 bits "mobilenetv2-96-int8".
    path : Path
        The model file.
    total_layers, height, width, channels : int
    chokepoints : mapping of int to str
        Chokepoint -> name of its tensor, as a profile's `frozen_layer_names`.
    precision : str or None
    """

    name: str
    path: Path
    total_layers: int
    height: int
    width: int
    channels: int
    chokepoints: Mapping[int, str]
    precision: Precision | None


def read_package_network(folder: str | Path) -> PackageNetwork:
    """Read the network of the package in a folder: its model with the smallest `num_frozen`.

    Raises
    ------
    ProblemError
        The folder is no package, has no models, or its network cannot be cut between its ends.
    """
    folder = Path(folder)
    package, _ = read_package(folder)
    if not package.models:
        raise ProblemError(f"{folder}: it has no models; `mainstream train` makes them")
    cuts = {canonical(k): package.chokepoints[k] for k in sorted(package.chokepoints)}
    if len(cuts) < 3:
        raise ProblemError(f"{folder}: it has no chokepoint between input and output")
    return PackageNetwork(
        name=_network_of(package),
        path=folder / package.models[min(package.models)],
        total_layers=package.total_layers,
        height=package.height,
        width=package.width,
        channels=package.channels,
        chokepoints=cuts,
        precision=package.precision,
    )


def _network_of(package: Package) -> str:
    name = f"{package.network}-{package.height}" if package.network in KNOWN else package.network
    return name if package.precision is None else f"{name}-{package.precision}"
