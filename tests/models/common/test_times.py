"""The times that a training step draws cover the range evenly, also those of each image."""

import torch

from models.common.times import stratified_times


def test_one_time_lies_in_each_part_and_those_of_an_image_are_far_apart() -> None:
    t = stratified_times(torch.rand(25, 4))
    assert torch.equal((t.sort().values * 100).long(), torch.arange(100))
    assert torch.equal((t.view(25, 4) * 4).long(), torch.arange(4).expand(25, 4))
