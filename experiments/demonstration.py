"""Show what a large test costs: drawn images under the rules of coco-val2017, by the command line.

    python -m experiments.demonstration --images 500,2000

Each step is a process of its own, as a user starts it: `inputs`, `outsider welsh`, and `score` of
the same images as another program's, which is killed in the middle and started again. Printed are
the seconds of each, those of the processor, the peak memory, and whether the scores are those of
the undisturbed test. What was measured is written after `--part` images, so that a small number of
images has a middle, too. A small network stands in for Inception, so that FID and KID are computed
without its weights: its numbers mean nothing and are not shown. LPIPS needs its own weights.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple

import torch
import typer
from PIL import Image
from torch import Tensor, nn

from benchmark.color import join, rgb_from_8bit, rgb_to_8bit
from benchmark.evaluation.partial_scores import CHUNK
from benchmark.files import ROOT
from benchmark.results.folders import TestFolder

PROTOCOL, SIZE, EXEMPLARS = "coco-val2017", 256, 64
RUN, AGAIN = "welsh", "welsh-again"
WITH_STAND_IN = (
    "from experiments.demonstration import stand_in; stand_in({part}); import main; main.main()"
)


class StandIn(nn.Module):
    """Features (B, 2048) of uint8 images: random mixtures of their colors on a 16×16 grid."""

    sha256 = "0" * 64

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.mixtures = torch.randn(3 * 16**2, 2048, generator=generator) / 16

    def forward(self, rgb8: Tensor) -> Tensor:
        grid = nn.functional.adaptive_avg_pool2d(rgb_from_8bit(rgb8), 16).flatten(1)
        return (grid @ self.mixtures).relu()


def stand_in(part: int) -> None:
    """Put the small network in Inception's place, in this process, and set the size of a part."""
    from benchmark.evaluation import per_image
    from benchmark.metrics import table

    vars(table)["inception_network"] = StandIn
    vars(per_image)["CHUNK"] = part


def paint(seed: int) -> Image.Image:
    """Paint a smooth image with edges: fields of several scales in Lab, and patches of one hue."""
    generator = torch.Generator().manual_seed(seed)

    def field(cells: int, channels: int) -> Tensor:
        coarse = torch.randn(1, channels, cells, cells, generator=generator)
        return nn.functional.interpolate(coarse, (SIZE, SIZE), mode="bicubic")

    lightness = 55 + 18 * field(3, 1) + 9 * field(16, 1) + 3 * field(64, 1)
    hues = 30 * torch.randn(4, 2, generator=generator)
    patch = field(5, 4).argmax(dim=1)  # (1, SIZE, SIZE)
    ab = hues[patch].permute(0, 3, 1, 2) + 8 * field(4, 2)
    rgb8 = rgb_to_8bit(join(lightness.clamp(2, 98), ab)[0])
    return Image.fromarray(rgb8.permute(1, 2, 0).numpy())


def paint_all(folder: Path, count: int) -> None:
    """Paint the test's images, named as the protocol's are, and exemplars."""
    for name, seeds in (("truth", range(count)), ("exemplars", range(10**6, 10**6 + EXEMPLARS))):
        (folder / name).mkdir(parents=True)
        for seed in seeds:
            paint(seed).save(folder / name / f"{7 * seed:012d}.jpg", quality=92)


class Cost(NamedTuple):
    """What a process took: seconds, those of the processor, and its peak resident memory in MiB."""

    seconds: float
    of_processor: float
    mebibytes: float

    def __str__(self) -> str:
        return f"{self.seconds:.0f} s ({self.of_processor:.0f} s), {self.mebibytes:.0f} MiB"


def run(arguments: list[str], until: Callable[[], bool] | None = None, part: int = CHUNK) -> Cost:
    """Run a command line and wait for it; if `until` becomes true, kill it at once (SIGKILL)."""
    begun = time.monotonic()
    with tempfile.TemporaryFile("w+") as messages:
        process = subprocess.Popen(
            [sys.executable, "-c", WITH_STAND_IN.format(part=part), *arguments],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=messages,
        )
        killed = False
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            if not killed and until is not None and until():
                process.kill()
                killed = True
            time.sleep(0.05)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode and not killed:
            messages.seek(0)
            raise SystemExit(f"main.py {' '.join(arguments)} failed: {messages.read()[-2000:]}")
    of_processor = usage.ru_utime + usage.ru_stime
    return Cost(time.monotonic() - begun, of_processor, usage.ru_maxrss / 1024)


def demonstrate(folder: Path, count: int, part: int) -> None:
    """Run the steps on the first `count` images and print what each took."""
    results, truth = folder / f"results-{count}", str(folder / "truth")
    rules = ["--protocol", PROTOCOL, "--limit", str(count)]
    with_results = [*rules, "--results", str(results)]
    inputs = folder / f"inputs-{count}"
    print(f"{count:,} images: seconds (of the processor), peak memory")
    print(f"  inputs: {run(['inputs', str(inputs), *with_results, '--truth', truth])}")
    assert len(list(inputs.iterdir())) == count
    welsh = ["outsider", RUN, "--test_images", truth, "--exemplars", str(folder / "exemplars")]
    print(f"  outsider welsh, and the fixed rows: {run([*welsh, *with_results])}")
    (first,) = TestFolder.named(RUN, results)
    colored = folder / f"colored-{count}"
    shutil.copytree(first.images, colored)
    score_killed(results, ["score", str(colored), "--truth", truth, *with_results], count, part)


def score_killed(results: Path, score: list[str], count: int, part: int) -> None:
    """Score what `welsh` colored as another program's, killed in the middle and started again."""
    score = [*score, "--name", AGAIN]
    parts = -(-count // part)
    if parts > 1:

        def half() -> bool:
            written = results.glob(f"{AGAIN}/seed-0/tests/*/.scores/[!.]*.safetensors")
            return len(list(written)) >= parts // 2

        cost = run(score, half, part)
        print(f"  score, killed when {parts // 2} of {parts} parts were measured: {cost}")
        assert not list(results.glob(f"{AGAIN}/seed-0/tests/*/run.json"))
    print(f"  score{', again' if parts > 1 else ''}: {run(score, part=part)}")
    (first,), (second,) = TestFolder.named(RUN, results), TestFolder.named(AGAIN, results)
    metrics = [json.loads(test.record.read_text())["metrics"] for test in (first, second)]
    measured = [key for key, value in metrics[0].items() if value["mean"] is not None]
    print(f"  equal scores: {metrics[0] == metrics[1]} ({', '.join(measured)})", flush=True)


def main(
    images: Annotated[str, typer.Option(help="Numbers of images, with commas.")] = "500,2000",
    part: Annotated[int, typer.Option(help="Images that are measured before they are written.")] = (
        CHUNK
    ),
    folder: Annotated[
        Path | None, typer.Option(help="A new folder that stays.  [default: one that is deleted]")
    ] = None,
) -> None:
    """Draw the images, run the steps for each number of them, and print what each took."""
    counts = [int(number) for number in images.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "demonstration" if folder is None else folder
        paint_all(place, max(counts))
        for count in counts:
            demonstrate(place, count, part)


if __name__ == "__main__":
    typer.run(main)
