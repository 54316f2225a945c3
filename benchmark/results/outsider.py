"""What is known of a colorizer that was not trained here: an entry of run.json, and a TOML file."""

import tomllib
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from benchmark.errors import UserError
from benchmark.files import read_text
from benchmark.results.schema import Count, Strict, validate

Line = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A text of one line."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class OutsiderFacts(Strict):
    """What is known of a colorizer that was not trained here; None is not known.

    trained_on, pretrained_on: sets of images. guidance: what colors the images beside L*: nothing,
    other images, or hints of a user. parameters: of the network. weights: where they are
    published. exemplars: the images that colors were taken from; exemplars_sha256: a hash of their
    contents.
    """

    remedy: ClassVar[str] = (
        "The entries are trained_on and guidance, and if known pretrained_on, paper, code, "
        "license, parameters, weights, weights_sha256, exemplars and exemplars_sha256."
    )

    trained_on: Line
    guidance: Literal["automatic", "exemplar", "hints"]
    pretrained_on: Line | None = None
    paper: Line | None = None
    code: Line | None = None
    license: Line | None = None
    parameters: Count | None = None
    weights: Line | None = None
    weights_sha256: Sha256 | None = None
    exemplars: Line | None = None
    exemplars_sha256: Sha256 | None = None


def read_facts(path: Path) -> OutsiderFacts:
    """Read the facts of a TOML file. Raises UserError for another file, or for a wrong entry."""
    text = read_text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} cannot be read as TOML: {error}.") from error
    return validate(values, OutsiderFacts, f"{path} does not describe a colorizer")
