"""Time and memory, always as a ratio to a baseline in the same process."""

import json
import platform
import sys

import torch

from lstmbook.timing import interleaved, ratios

__all__ = ["interleaved", "machine", "peak_bytes", "ratios", "report"]


def machine() -> str:
    """What the numbers were taken on, in a line."""
    if torch.cuda.is_available():
        return f"{torch.cuda.get_device_name()}, torch {torch.__version__}"
    cores = torch.get_num_threads()
    return f"CPU {platform.machine()}, {cores} threads, torch {torch.__version__}"


def peak_bytes(call) -> int:
    """The most memory that a call held at once beyond what there was before."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return torch.cuda.max_memory_allocated() - before
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        call()
    events = [
        e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"
    ]
    events.sort(key=lambda e: e.start_ns())
    held = peak = 0
    for e in events:
        held += e.nbytes()
        peak = max(peak, held)
    return peak


def report(title: str, rows: list[dict]) -> None:
    """Print a table; with a file name as argument add it there as JSON too."""
    print(f"\n{title}\n{machine()}")
    keys = list(rows[0])
    text = [[f"{r[k]:.2f}" if isinstance(r[k], float) else str(r[k]) for k in keys]
            for r in rows]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(keys, *text, strict=True)]
    for line in [keys, *text]:
        print("  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)))
    if len(sys.argv) > 1:
        with open(sys.argv[1], "a") as file:
            record = {"title": title, "machine": machine(), "rows": rows}
            file.write(json.dumps(record) + "\n")
