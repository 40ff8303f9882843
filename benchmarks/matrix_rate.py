"""How much of the device's rate of large matrix products a step of learning reaches, and where its time goes."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from model_collapse import device

__all__ = ["operators", "reached"]

SIDE, REPEATS = 2048, 10
NAMED = 6  # operators


def reached(step: Callable[[], object], milliseconds: float, threads: int) -> dict[str, float | str]:
    """Operations a second of a step that takes so long, and as a share of the rate of products of square matrices."""
    compute = device.compute()
    with device.threads(threads):
        rate = _rate(compute)
    with FlopCounterMode(display=False) as counted:
        step()
    ours = counted.get_total_flops() / (milliseconds / 1e3)
    return {"precision": compute.precision, "matrix_rate": rate, "reached": ours, "share": ours / rate}


def operators(work: Callable[[], object]) -> dict[str, float]:
    """Shares of the processor's time in `work`: the operators that take most of it, each without those it calls."""
    work()
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        work()
    times = {event.key: event.self_cpu_time_total for event in seen.key_averages()}
    total = sum(times.values())
    return {name: times[name] / total for name in sorted(times, key=times.get, reverse=True)[:NAMED]}


def _rate(compute: device.Compute) -> float:
    """Floating-point operations a second, in the precision of the device's rule."""
    kind = torch.bfloat16 if compute.precision == "bf16" else torch.float32
    a = torch.randn(SIDE, SIDE, dtype=kind, device=compute.device)
    float((a @ a)[0, 0])
    begin = time.perf_counter()
    for _ in range(REPEATS):
        b = a @ a
    float(b[0, 0])  # waits for a device that works on its own
    return 2 * SIDE**3 * REPEATS / (time.perf_counter() - begin)
