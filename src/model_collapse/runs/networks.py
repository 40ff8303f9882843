"""The settings that families of networks share, the network of generation 0 that their runs share, and failed fits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from .. import archive, device
from ..places import cache_root
from ..recursion import Turn
from .settings import BaseConfig, ConfigError

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Diverged", "NetworkConfig", "fitting"]

# What only matters after generation 0, or for how many chains there are.
LATER = ("chains", "generations", "regime", "variant", "share", "n_real", "n_synthetic", "grid", "marks", "remedy")
CHOSEN = ("device", "precision")  # what `compute` says


class Diverged(ArithmeticError):
    """A loss that is no longer a number; the message says when."""


@contextlib.contextmanager
def fitting(g: int) -> Iterator[None]:
    """Inside the block `Diverged` becomes a `ConfigError` that names the generation."""
    try:
        yield
    except Diverged as error:
        raise ConfigError(f"generation {g}, {error}; what was done before is kept") from None


@dataclass(frozen=True)
class NetworkConfig(BaseConfig):
    """What every family of networks has besides. A block is one chain: networks have no axis of chains.

    Attributes
    ----------
    n : int
        Items a pool; 0 takes all that there are to learn from.
    most : int
        With n = 0, at most so many of them, the rest being set aside; 0 sets no limit.
    batch : int
        Items a step of the optimiser.
    device : {"auto", "cpu", "cuda"}
    precision : {"auto", "bf16", "fp32"}
        See `model_collapse.device.compute`.
    """

    n: int = 0
    most: int = 0
    batch: int = 1
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(self.block == 1, f"block must be 1, one network a chain, not {self.block}")
        for name in ("n", "most"):
            self.require(getattr(self, name) >= 0, f"{name} must not be negative, not {getattr(self, name)}")
        self.require_at_least(1, "batch")
        self.require_one_of("device", "auto", "cpu", "cuda")
        self.require_one_of("precision", "auto", "bf16", "fp32")

    def pool_size(self, there: int, what: str) -> int:
        """Items a pool, where `there` are so many of them."""
        self.require(self.n <= there, f"n = {self.n} is more than the {there} {what}")
        return self.n or min(there, self.most or there)

    def compute(self) -> device.Compute:
        try:
            return device.compute(self.device, self.precision)
        except device.DeviceError as error:
            raise ConfigError(str(error)) from None

    def as_made(self, machine: Mapping[str, Any]) -> Self:
        """The configuration with the device and precision that networks had there, where it leaves them to the rule.

        Raises
        ------
        ConfigError
            Where this machine lacks the device.
        """
        there = "cpu" if machine.get("device", "cpu") == "cpu" else "cuda"
        on = there if self.device == "auto" else self.device
        precision = device.precision_of(machine) if self.precision == "auto" else self.precision
        made = replace(self, device=on, precision=precision)
        made.compute()
        return made

    def first_network(
        self,
        family: str,
        protocol: int,
        turn: Turn,
        data: dict[str, Any],
        train: Callable[[Turn], nn.Module],
        make: Callable[[], nn.Module],
        later: Container[str] = (),
    ) -> nn.Module:
        """The network of generation 0, trained once for every run whose generation 0 is the same.

        Runs of one seed that differ only in what comes later (a family's own settings of that kind are named in
        `later`) share it, chain by chain, in a file whose name is a hash of all that it depends on, the data's card and
        the processor included. A run also keeps it beside its own resume state, so that it goes on with the same one
        wherever it is resumed.

        Parameters
        ----------
        turn : Turn
            Any of the chain; `train` is given that of generation 0.
        train, make : callable
            The trained network; one of the same shape, on the device, to be filled with what was kept.
        """
        turn = Turn(0, turn.seed, turn.scratch)
        own = turn.file("first")
        if own is None:
            return train(turn)
        from ..checkpoints import fill, get, put, take

        said = {name: value for name, value in asdict(self).items() if name not in {*LATER, *CHOSEN, *later}}
        said |= {"protocol": protocol, "seed": turn.seed, "data": data, "compute": vars(self.compute())}
        said |= {"on": device.processor()[0], "torch": device.packages()["torch"]}
        places = own, cache_root() / family / f"first-{archive.digest(said)[:32]}.state"
        if there := next((path for path in places if path.exists()), None):
            with device.seeded(np.random.default_rng(0)):
                network = make()
            fill(network, get(there))
        else:
            network = train(turn)
        for path in places:
            if not path.exists():
                put(path, take(network))
        return network.eval()
