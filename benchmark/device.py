"""Devices: which one is used, in which precision, what it is called, how much memory it takes."""

from pathlib import Path

import torch
from lightning_fabric import Fabric

from benchmark.errors import UserError

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def start_peak(device: torch.device) -> bool:
    """Restart the measurement of `peak`. Returns False on a device where it cannot be measured."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        _CLEAR.write_text("5")  # Linux: resets the high-water mark of the resident set
    except OSError:
        return False
    return device.type == "cpu"


def peak(device: torch.device) -> int | None:
    """The peak memory in bytes since `start_peak` returned True.

    On a GPU it is that of tensors, on a CPU that of the whole process.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    lines = _STATUS.read_text().splitlines()
    marks = [int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")]
    return marks[0] if marks else None


def make_fabric(device: str | None, precision: str) -> Fabric:
    """Make a Fabric on the device of `--device` (cpu, cuda, mps, an index) or the best there is.

    precision: auto (bf16 where the hardware has it, else 32), 32, bf16 or 16. Raises UserError for
    a device or precision that this machine does not have.
    """
    accelerator, devices = _parse_device(device)
    fabric = Fabric(accelerator=accelerator, devices=devices)
    plugin = {"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}
    chosen = _best_precision(fabric.device) if precision == "auto" else precision
    if chosen == "16" and fabric.device.type == "cpu":
        raise UserError("--precision 16 needs a GPU; a CPU trains in 32 or bf16.")
    # With precision 32, cuDNN would still round to TF32 where it can.
    torch.backends.cudnn.allow_tf32 = chosen != "32"
    return Fabric(accelerator=accelerator, devices=devices, precision=plugin[chosen])  # type: ignore[arg-type]


def _parse_device(device: str | None) -> tuple[str, int | list[int]]:
    """Return Fabric's (accelerator, devices). Raises UserError for a device that does not exist."""
    if device is None:
        return "auto", 1
    if device in ("cpu", "mps"):
        if device == "mps" and not torch.backends.mps.is_available():
            raise UserError("--device mps: there is no Apple GPU on this machine; try cpu.")
        return device, 1
    index = device.removeprefix("cuda").removeprefix(":") or "0"
    if not index.isdecimal():
        raise UserError(f"--device {device}: choose cpu, cuda, mps or the index of a GPU.")
    if not torch.cuda.is_available():
        raise UserError(f"--device {device}: there is no CUDA device on this machine; try cpu.")
    if int(index) >= torch.cuda.device_count():
        raise UserError(f"--device {device}: there are {torch.cuda.device_count()} GPUs.")
    return "cuda", [int(index)]


def other_devices(device: str | None) -> tuple[str, ...]:
    """The further GPUs that may share the work, as `--device` names them; none if one is named."""
    count = torch.cuda.device_count() if device is None else 0
    return tuple(str(index) for index in range(1, count))


def memory_format(device: torch.device) -> torch.memory_format:
    """The order in memory of the weights and images of a training that is the fastest.

    Convolutions of a GPU are faster in channels_last. On a CPU GroupNorm is then up to eight times
    as slow in bf16, which costs more than the convolutions gain.
    """
    return torch.channels_last if device.type == "cuda" else torch.contiguous_format


def _best_precision(device: torch.device) -> str:
    """bf16 where the hardware supports it; elsewhere it is emulated and slower than float32."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "32"
    if device.type == "cpu":
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return "bf16" if native else "32"
    return "32"


def device_name(device: torch.device) -> str:
    """The device as tables name it: the GPU's name, or the CPU with its number of threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        count = torch.get_num_threads()
        return f"CPU, {count} thread{'s' if count > 1 else ''}"
    return device.type
