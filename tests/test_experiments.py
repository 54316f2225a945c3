"""The experiments whose results the documentation reports."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmark.color import join
from benchmark.figures.images import save_png
from benchmark.metrics.networks import LPIPS_VARIABLE
from experiments import choices, demonstration
from experiments.choices import FAMILIES
from experiments.diffusion_failures import BLOTCHES, CORRECT, DIFFUSION, GRAY, deviations
from experiments.trainings import ROOT
from tests.support import blobs


@pytest.mark.parametrize("name", FAMILIES)
def test_every_choice_can_be_trained(name: str) -> None:
    """Its settings exist, are valid, and differ from those of the reference run and all others."""
    family = FAMILIES[name]
    assert family.choices[0].settings == {}
    assert len({choice.run for choice in family.choices}) == len(family.choices)
    resolved = [family.resolve(choice) for choice in family.choices]
    assert all(one != other for one, other in itertools.combinations(resolved, 2))


def test_the_failures_reuse_runs_of_the_choices() -> None:
    settings = {choice.run: choice.settings for choice in DIFFUSION.choices}
    assert all(settings[reused.run] == reused.settings for reused in (CORRECT, BLOTCHES))
    assert GRAY.run not in settings
    assert DIFFUSION.resolve(GRAY) != DIFFUSION.resolve(CORRECT)


def test_deviations_measure_each_scale_separately() -> None:
    """Random color of images, patches or pixels changes the deviation of that scale only."""
    lightness = torch.full((4, 1, 32, 32), 60.0)
    generator = torch.Generator().manual_seed(0)

    def random_image(side: int) -> torch.Tensor:
        ab = 8 * torch.randn(4, 2, side, side, generator=generator)
        if side > 1:  # subtract the mean color of the next coarser scale
            cells = side // 4 if side == 32 else side
            blocks = ab.reshape(4, 2, side // cells, cells, side // cells, cells)
            ab = (blocks - blocks.mean(dim=(3, 5), keepdim=True)).reshape(ab.shape)
        return ab.repeat_interleave(32 // side, 2).repeat_interleave(32 // side, 3)

    for scale, side in enumerate((1, 4, 32)):
        shares = torch.tensor(deviations(join(lightness, random_image(side))))
        others = torch.cat([shares[:scale], shares[scale + 1 :]])
        assert shares[scale] > 4
        assert (others < 0.05).all()


def test_without_lpips_the_choices_are_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LPIPS_VARIABLE, str(tmp_path / "none.pth"))
    monkeypatch.setattr(choices, "train", lambda *_: pytest.fail("trained"))
    with pytest.raises(SystemExit, match=r"compared by LPIPS\. .*there is no file .*none\.pth"):
        choices.main("gan", dataset="cartoon", results=tmp_path)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_killed_trainings_and_full_disks_end_like_undisturbed_ones(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "experiments.kills", "--models", "unet"]
    command += ["--kills", "3", "--full-disks", "1"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [row[1:3] for row in rows] == [["kills", "3"], ["full disks", "1"]]
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_the_experiments_run(
    tmp_path: Path, lpips_weights: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LPIPS_VARIABLE, str(lpips_weights["alex"]))
    for row, rgb8 in enumerate(blobs(40, 64)):
        save_png(tmp_path / "photos" / f"{row}.png", rgb8 / 255)
    common = ["--dataset", str(tmp_path / "photos"), "--results", str(tmp_path / "results")]
    common += ["--minutes", "0.03"]
    for arguments, expected in (
        (["choices", "gan", "--only", "reference,more"], "adversarial weight .2"),
        (["choices", "diffusion", "--only", "reference,predict-x0", "--steps", "3"], "predict x0"),
        (["diffusion_failures", "--images", "6"], "oversaturated"),
    ):
        command = [sys.executable, "-m", f"experiments.{arguments[0]}", *arguments[1:], *common]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert expected in done.stdout
    assert (tmp_path / "results" / "failures.png").exists()


def test_the_demonstration_paints_images() -> None:
    first, again, other = (demonstration.paint(seed) for seed in (0, 0, 1))
    assert first.size == (256, 256)
    assert first.tobytes() == again.tobytes() != other.tobytes()


@pytest.mark.slow
def test_the_demonstration_measures_processes() -> None:
    cost = demonstration.run(["list", "protocols"], until=lambda: True)
    assert cost.seconds < 60  # it was killed at once
    with pytest.raises(SystemExit, match="there is no such protocol"):
        demonstration.run(["inputs", "x", "--protocol", "none"])


def test_the_stand_in_for_inception_has_as_many_features() -> None:
    rgb8 = blobs(3, 64)
    features = demonstration.StandIn()(rgb8)
    assert features.shape == (3, 2048)
    assert torch.equal(features, demonstration.StandIn()(rgb8))
