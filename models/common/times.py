"""The times, or noise levels, that a training step draws."""

import torch
from torch import Tensor


def stratified_times(draws: Tensor) -> Tensor:
    """Map uniform draws (B, K) in [0, 1), K for each image, to times (B · K,), image by image.

    There is one time in each of B · K equal parts of [0, 1), and those of one image are spread over
    the whole range. Each time is equally likely, and each batch covers the range evenly, so the
    loss has a lower variance (Kingma et al. 2021, appendix I.1).
    """
    count, each = draws.shape
    parts = torch.arange(count * each, device=draws.device)
    times = (parts + draws.T.flatten()) / (count * each)
    return times.view(each, count).T.flatten()
