"""Networks on the disk, and fits that go on inside a generation: files of tensors, each written in one step.

A file is the SHA-256 of what follows, and then tensors in the format of safetensors, which has no checksum of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import nn

from .archive import ArchiveError
from .archive.files import one_line, write_stream
from .device import leads

__all__ = ["fill", "get", "go_on", "keep", "put", "take"]


def keep(path: Path | None, network: nn.Module, done: int, *optimisers: torch.optim.Optimizer) -> None:
    """Write where a fit stands after `done` epochs, or steps; nothing where there is no path."""
    if path is None:
        return
    arrays = {f"network/{name}": x for name, x in take(network).items()}
    for number, optimiser in enumerate(optimisers):
        arrays |= {f"optimiser/{number}/{k}/{key}": x for k, key, x in _moments(optimiser)}
    put(path, arrays | {"done": torch.tensor(done)})


def go_on(path: Path | None, network: nn.Module, *optimisers: torch.optim.Optimizer) -> int:
    """Load what `keep` wrote, if it is there, into network and optimisers; how much was done."""
    if path is None or not path.exists():
        return 0
    arrays = get(path)
    fill(network, {name.removeprefix("network/"): x for name, x in arrays.items() if name.startswith("network/")})
    for number, optimiser in enumerate(optimisers):
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, x in arrays.items():
            if name.startswith(f"optimiser/{number}/"):
                _, _, k, key = name.split("/")
                state.setdefault(int(k), {})[key] = x
        optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
    return int(arrays["done"])


def put(path: Path, arrays: Mapping[str, torch.Tensor]) -> None:
    """Write tensors, in the process that leads; a reader sees the old file or the new one, never a part."""
    if leads():
        content = save({name: x.detach().cpu().contiguous() for name, x in arrays.items()})
        write_stream(path, lambda stream: stream.writelines((hashlib.sha256(content).digest(), content)))


def get(path: Path) -> dict[str, torch.Tensor]:
    """Read what `put` wrote; raises `ArchiveError` for a file that is damaged."""
    with one_line(path, "read"):
        content = memoryview(path.read_bytes())
    checksum, content = content[:32], content[32:]
    if hashlib.sha256(content).digest() != checksum:
        raise ArchiveError(f"{path} is damaged: delete it, and it is made again")
    return load(bytes(content))


def take(network: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters, tied ones once, and buffers, by name: the network's own tensors, without gradients."""
    return {name: x.detach() for name, x in (*network.named_parameters(), *network.named_buffers())}


@torch.no_grad()
def fill(network: nn.Module, arrays: Mapping[str, torch.Tensor]) -> None:
    """Give a network what `take` took, whatever its precision. `KeyError` for a tensor that is missing."""
    for name, x in take(network).items():
        x.copy_(arrays[name])


def _moments(optimiser: torch.optim.Optimizer) -> Iterator[tuple[int, str, torch.Tensor]]:
    for k, state in optimiser.state_dict()["state"].items():
        yield from ((k, key, x) for key, x in state.items())
