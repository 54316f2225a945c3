"""Peak memory of a piece of work: on a GPU what its tensors took, on a CPU the whole process."""

from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def start_peak(device: torch.device) -> None:
    """From now on `peak` counts anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "cpu":
        try:
            _CLEAR.write_text("5")  # Linux: the resident set's high-water mark is what it is now
        except OSError:
            return  # not Linux, or not allowed; `peak` then has nothing to say, or too much


def peak(device: torch.device) -> int | None:
    """Bytes at most since `start_peak`, or None where that cannot be told."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if device.type != "cpu" or not _STATUS.exists():
        return None
    lines = _STATUS.read_text().splitlines()
    marks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return marks[0] if marks else None
