"""Peak memory of a piece of work: on a GPU what its tensors took, on a CPU the whole process."""

from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def start_peak(device: torch.device) -> bool:
    """From now on `peak` counts anew. False where that cannot be had, and `peak` says nothing."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        _CLEAR.write_text("5")  # Linux: the resident set's high-water mark is what it is now
    except OSError:
        return False
    return device.type == "cpu"


def peak(device: torch.device) -> int | None:
    """Bytes at most since a `start_peak` that was true."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    lines = _STATUS.read_text().splitlines()
    marks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return marks[0] if marks else None
