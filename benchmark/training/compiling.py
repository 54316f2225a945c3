"""Training with `torch.compile`, where the machine can compile the network."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import nn

from benchmark.console import info
from benchmark.errors import first_line

OPTIONS = {
    "fallback_random": True,  # dropout stays the same function of the seed
    # Networks are channels last already, and this would override layers that need otherwise.
    "layout_optimization": False,
}


def with_compiled(model: nn.Module, step: Callable[[], None]) -> Callable[[], None]:
    """Return `step` with model(…) compiled from the first call on, if that call succeeds.

    Compilation may fail in many ways (no C++ compiler, an unsupported graph), always in the first
    forward or backward pass. Then a message gives the reason, and the step is repeated with the
    network as it was: an error of the network itself is raised by this second attempt. So `step`
    must be repeatable where it failed before an optimizer took its step.
    """
    proven = False

    def take() -> None:
        nonlocal proven
        if proven:
            step()
            return
        proven = True
        # In place, so that the names of the weights stay; all batches have the same shape.
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
    """Silence torch's warnings about compilation, which only its developers can act on."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
