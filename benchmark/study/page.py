"""The page of a study: one file with all images, which opens without a network.

It holds opaque ids, images in a random order, and the order of showing. No name of a model or file
is in it; only the key says which image is which. page.html.j2 is its template, page.css its style,
and page.js shows the pairs.
"""

import hashlib
import random
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmark.results.study import LONGEST_PARTICIPANT, StudyKey
from benchmark.study.outputs import Material

HERE = Path(__file__).resolve().parent


def html(key: StudyKey, material: Material) -> str:
    """The whole page. Raises UserError for an image that is missing or was changed."""
    script = (HERE / "page.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            data=_data(key, material),
            question=key.question,
            seconds=key.seconds,
            n_pairs=len(key.lists[0]),
            longest=LONGEST_PARTICIPANT,
            style=Markup((HERE / "page.css").read_text(encoding="utf-8")),
            script=Markup(script),
            # The hash lets the browser run this script and no other.
            script_hash=b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        )
    )


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _data(key: StudyKey, material: Material) -> dict[str, Any]:
    """What the script needs. lists: the id and the indices of both images of each pair."""
    used = {
        (trial.image, side)
        for trials in key.lists
        for trial in trials.values()
        for side in (trial.left, trial.right)
    }
    ordered = sorted(used, key=lambda one: (one[0], -1 if one[1] is None else one[1]))
    random.Random(f"{key.seed}/images").shuffle(ordered)
    places = {one: place for place, one in enumerate(ordered)}
    return {
        "hash": key.hash,
        "seconds": key.seconds,
        "images": [_uri(material, *one) for one in ordered],
        "lists": [
            [
                [trial_id, places[trial.image, trial.left], places[trial.image, trial.right]]
                for trial_id, trial in trials.items()
            ]
            for trials in key.lists
        ],
    }


def _uri(material: Material, image: str, side: int | None) -> str:
    """An image as a data URI of its file's bytes."""
    outputs = material.truth if side is None else material.models[side]
    assert outputs is not None  # the question `better` has no pairs with the truth
    return f"data:image/png;base64,{b64encode(outputs.read(image)).decode()}"
