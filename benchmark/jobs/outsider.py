"""A public colorizer from outside: it colors the test as a model does, and gets a row."""

from dataclasses import dataclass
from pathlib import Path

from benchmark import registry
from benchmark.console import shorten
from benchmark.data.cache import ImageSet
from benchmark.data.copies import exact_copies
from benchmark.data.loading import load_test
from benchmark.data.manifest import digest_of
from benchmark.data.preprocessing import Preprocessing
from benchmark.data.rows import in_memory
from benchmark.data.sources import Sources, locate_folder
from benchmark.device import make_fabric
from benchmark.errors import UserError, did_you_mean
from benchmark.evaluation import evaluate
from benchmark.evaluation.baselines import test_baselines
from benchmark.evaluation.named import TestImages
from benchmark.jobs.submit import (
    SPLIT_SEED,
    load_test_images,
    require_untrained,
    show_row,
    write_submission,
)
from benchmark.metrics.table import MetricSuite
from benchmark.outsider import EXEMPLAR_SIZE, Outsider
from benchmark.outsider_weights import load_published
from benchmark.results.folders import RunFolder
from benchmark.results.outsider import OutsiderFacts
from benchmark.results.records import RunRecord


@dataclass(frozen=True)
class Chosen:
    """Which outsider colors, and with what; the fields are named as the options are."""

    name: str
    variant: str | None
    weights: str | None
    exemplars: Path | None
    device: str | None
    batch_size: int


def run_outsider(
    chosen: Chosen, sources: Sources, test_images: TestImages, results: Path, suite: MetricSuite
) -> RunRecord:
    """Color the test images that are not colored yet, score all, and give the outsider its row.

    Raises UserError, before any image is colored, for options that do not fit the outsider, and for
    weights and exemplars that cannot be used.
    """
    outsider = _build(chosen)
    folder = RunFolder(results, _run_name(chosen.name, outsider, outsider.variant), 0)
    require_untrained(chosen.name, folder)
    device = make_fabric(chosen.device, "32").device
    load_published(outsider, chosen.name, chosen.weights)
    facts = _facts_of_file(outsider, outsider.variant)
    images = load_test_images(sources, test_images)
    if chosen.exemplars is not None:
        facts = _take_exemplars(outsider, facts, chosen.exemplars, images, results)
    batch_size = chosen.batch_size
    setup = evaluate.prepare(
        images,
        sources.name,
        test_images,
        suite=suite,
        batch_size=batch_size,
        cache=sources.cache,
    )
    test_baselines(results, setup, None)
    write_submission(folder, sources)
    candidate = evaluate.Candidate(folder, folder.run, kind="outsider", outsider=facts)
    record = evaluate.test(candidate, outsider.to(device).eval(), setup, device=device)
    show_row(results, setup, setup.folder(candidate))
    return record


def _build(chosen: Chosen) -> Outsider:
    """Build the outsider without its weights. Raises UserError for options that do not fit it."""
    model = registry.load_outsider(chosen.name)
    variant = next(iter(model.variants)) if chosen.variant is None else chosen.variant
    if variant not in model.variants:
        known = did_you_mean(variant, model.variants)
        raise UserError(
            f"--variant {variant}: {chosen.name} has no such variant"
            f"{known or f'; it has {shorten(list(model.variants))}.'}"
        )
    if model.uses_exemplars and chosen.exemplars is None:
        raise UserError(f"{chosen.name} takes colors from images: name a folder with --exemplars.")
    if not model.uses_exemplars and chosen.exemplars is not None:
        raise UserError(f"--exemplars: {chosen.name} uses no exemplars; leave the option out.")
    return model(variant)


def _run_name(name: str, model: Outsider | type[Outsider], variant: str) -> str:
    return f"{name}-{variant}" if len(model.variants) > 1 else name


def _facts_of_file(model: Outsider | type[Outsider], variant: str) -> OutsiderFacts:
    """The facts of the variant, with where its weights are from."""
    chosen = model.variants[variant]
    if chosen.file is None:
        return chosen.facts
    source = {"weights": chosen.file.url, "weights_sha256": chosen.file.sha256}
    return chosen.facts.model_copy(update=source)


def facts_of_run(run: str) -> OutsiderFacts:
    """What the files of outsiders/ say of the outsider whose run has this name, exemplars aside.

    Raises UserError if there is none that can be used.
    """
    for entry in registry.outsider_entries():
        if run == entry.name or run.startswith(f"{entry.name}-"):
            model = registry.load_outsider(entry.name)
            for variant in model.variants:
                if _run_name(entry.name, model, variant) == run:
                    return _facts_of_file(model, variant)
    raise UserError(f"outsiders/ has no {run} any more.")


def _take_exemplars(
    outsider: Outsider, facts: OutsiderFacts, folder: Path, images: ImageSet, results: Path
) -> OutsiderFacts:
    """Load exemplars, which may not be test images, and record what they are."""
    sources = locate_folder("--exemplars", folder, results)
    exemplars = load_test(sources, Preprocessing(EXEMPLAR_SIZE), SPLIT_SEED, quiet=True)
    if copies := exact_copies(images, exemplars):
        names = [images.files[row].name for row in copies]
        raise UserError(
            f"--exemplars {folder} holds {len(copies)} of the test images, whose colors it would "
            f"give away ({shorten(names)}): name a folder without them."
        )
    outsider.take_exemplars(in_memory(exemplars.rgb8))
    source = {
        "exemplars": f"{sources.name}, {len(exemplars)} images",
        "exemplars_sha256": digest_of(exemplars.files),
    }
    return facts.model_copy(update=source)
