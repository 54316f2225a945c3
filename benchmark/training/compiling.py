"""`torch.compile` of the network that is trained, where the machine can do it."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from benchmark.console import info
from benchmark.errors import first_line

OPTIONS = {
    "fallback_random": True,  # dropout stays the same function of the seed
    # Networks are channels last already; and it makes so what a network wants otherwise.
    "layout_optimization": False,
}


def with_compiled(model: nn.Module, step: Callable[[], None]) -> Callable[[], None]:
    """`step`, with model(…) compiled from its first call on if that call shows that it works.

    Compilation may fail in many ways (no C++ compiler, a graph it cannot take), and does so in the
    first forward or backward pass. Then a line says why, and the step is taken again with the
    network as it was: an error of the network's own is raised by this second attempt. So `step`
    must be one that can be taken again where it failed before an optimizer moved.
    """
    proven = False

    def take() -> None:
        nonlocal proven
        if proven:
            step()
            return
        proven = True
        # In place, so that the names of weights stay; for one shape, since all batches have one.
        model.compile(dynamic=False, options=OPTIONS)
        try:
            with _without_warnings():
                step()
        except Exception as error:  # compilers raise anything
            model._compiled_call_impl = None
            info(f"torch.compile failed, training goes on without it ({first_line(error)})")
            step()

    return take


@contextmanager
def _without_warnings() -> Iterator[None]:
    """What torch logs of compiling is for those who work on compilers."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
