"""What is said of a board and below its tables: the caption, the notes, and what columns judge."""

from collections.abc import Mapping, Sequence

from benchmark.evaluation.baselines import GROUND_TRUTH
from benchmark.leaderboard.ranking import ProtocolBoard
from benchmark.leaderboard.rows import Row
from benchmark.metrics.sets import FEWEST_FOR_FID
from benchmark.metrics.table import ALL_METRICS, Aspect
from benchmark.results.records import Score
from benchmark.results.study import StudyRecord

FIRST = ("ssim", "lpips", "delta_e2000")
"""The metrics of the classic comparison come first; the others follow."""


# ---- below a table -------------------------------------------------------------------------------

COST_NOTE = (
    "The columns of cost judge no image. Times are to be compared where the device is the same and "
    "had nothing else to do. Peak memory is that of the training."
)
SAMPLES_NOTE = (
    "The tables above rank the first sample of each image. Diversity is the mean distance between "
    "the samples of an image: more is not better, but none means that seeds change nothing. The "
    "mean of the samples is taken in Lab and judges fidelity, as a regression's output does. "
    "The best of the samples is chosen by comparison with the truth, which no user has: this is an "
    "oracle and is never ranked."
)
PRETRAINING_NOTE = (
    "Each value is the mean over images of the difference between a model with a pretrained "
    "encoder and the same model trained from scratch on the same images, with its 95 % interval "
    "(paired bootstrap). An interval without 0 is a significant difference."
)

STUDY_NOTES = {
    "real": (
        "The fooling rate is the share of pairs of an output and its truth in which the output was "
        "taken for the real photo (Zhang et al. 2016); 0.5 is that of colors that nobody can tell "
        "from the true ones."
    ),
    "better": (
        "The preference rate is the share of pairs with another model's output of the same image "
        "in which the model's own was preferred; 0.5 is the average of the models."
    ),
}
"""What the rate of a human study is, by its question."""
STUDY_INTERVAL_NOTE = (
    "In brackets is the 95 % interval over the choice of participants and of images: Wilson's, for "
    "as many independent answers as have the variance of these."
)
STRENGTH_NOTE = (
    "The strength is that of Bradley and Terry 1952: a model is preferred to one whose strength is "
    "less by d in a share of 1 / (1 + exp(-d)) of the pairs; their mean is 0."
)


PUBLISHED_NOTE = (
    "These rows are as their source prints them. They were not measured here and are not ranked: "
    "preparation, the network of FID and the variant of colorfulness are what that source used."
)
DIFFERENCE_OF_MEANS_NOTE = (
    "ΔCF of means is the difference of two means over images, as papers print it. It is never "
    "ranked, since errors of single images cancel in it: outputs of random vividness had 1.76 with "
    "a gap of 13.25 an image."
)
OUTSIDERS_NOTE = (
    "These rows were not trained here. What is not known is empty; whether an outsider was trained "
    "on images of this test is known only from what it was trained on. Weights and exemplars are "
    "named by the first digits of their SHA-256."
)


def metric_keys(scores: Mapping[str, Score]) -> list[str]:
    """The metrics that a single sample has among these scores, in the order of the columns."""
    single = [k for k, metric in ALL_METRICS.items() if not metric.between_samples and k in scores]
    return [*FIRST, *(key for key in single if key not in FIRST)]


def quality_note(board: ProtocolBoard) -> str:
    """Which columns judge what, so that no single number hides the trade between them."""
    if board.options.reference == "none":
        return (
            "These photos have no true color, so no column says how well they are colored. Look at "
            "the images, or ask people with `main.py study`."
        )
    scores = board.rows[0].scores

    def labels(aspect: Aspect) -> str:
        keys = [key for key in metric_keys(scores) if ALL_METRICS[key].judges == aspect]
        found = [scores[key].label for key in keys]
        return f"{', '.join(found[:-1])} and {found[-1]}"

    return (
        f"{labels('fidelity')} judge fidelity to the one true image, for which the mean of all "
        "likely colors is a good answer: a regression gives it, and of a sampler the mean of its "
        f"samples is to be compared. {labels('distribution')} judge the distribution of color, for "
        "which that mean is a bad answer and a sample a good one. No column judges both."
    )


def calibration_note(rows: Sequence[Row]) -> str:
    """What the shares are, and what a perfect sampler would have."""
    overall = rows[0].calibrations[0].overall
    return (
        f"Each share is the part of {overall.n_objects} objects of random paint in "
        f"{overall.n_images} images that took that paint, or no paint at all (brown or gray). The "
        "true probability is in parentheses. Total variation is the share of objects that should "
        "have taken another paint: 0 is right, and a perfect sampler with one sample of these "
        f"images has {overall.perfect:.2f} on average and at most {overall.perfect_high:.2f} in 95 "
        "of 100 cases. It judges the distribution of color where that is known. Per object, which "
        "needs several samples, distinguishes a model that draws its colors from one that repeats "
        "itself."
    )


def study_note(study: StudyRecord, bounded: bool, changed: Sequence[str]) -> str:
    """Who answered what, and how the columns of a human study are to be read.

    bounded: whether the table has strengths. changed: the models whose images are others by now.
    """
    people = len(study.participants)
    shown = "until the answer" if study.seconds is None else f"for {study.seconds:g} s"
    found = [
        f"{people} participant{'s' * (people != 1)} gave {study.n_answers} answers about "
        f"{study.n_images} image{'s' * (study.n_images != 1)}. Each pair was shown {shown}.",
        STUDY_NOTES[study.question],
        STUDY_INTERVAL_NOTE if people > 1 else "A single participant gives no interval.",
    ]
    if bounded:
        found.append(STRENGTH_NOTE)
    found.append(f"The left image was chosen in {100 * study.left_rate:.0f} % of the answers.")
    if study.repeated:
        found.append(
            f"Of {study.repeated} pairs that were shown a second time, {study.alike} were answered "
            "alike; the rates are of the first showing."
        )
    if changed:
        found.append(f"Tested again since, with other images: {'; '.join(changed)}.")
    return " ".join([*found, "A study is never ranked among metrics."])


# ---- of the whole board -------------------------------------------------------------------------


def caption(board: ProtocolBoard) -> str:
    """The test set and the protocol, and how the values are to be read."""
    n, size = board.n_images, board.protocol.size
    interval = (
        "a single image has no interval and no rank"
        if n == 1
        else "± is half of its 95 % bootstrap interval over images"
    )
    return (
        f"{n} test image{'s' * (n != 1)} of {size}×{size} pixels; protocol "
        f"{board.protocol_hash[:8]}, version {board.protocol.version}. Each value is the mean "
        f"over images; {interval}. KID (σ over its subsets) and JSD are each one value of the "
        "whole set."
    )


def bias_of_fid(n: int) -> str | None:
    """Why FID of this many images is unfit; None where it is not."""
    if n >= FEWEST_FOR_FID:
        return None
    return (
        f"FID of {n:,} images is mostly bias: its covariances are singular below "
        f"{FEWEST_FOR_FID:,}. KID has no such bias."
    )


def notes(board: ProtocolBoard) -> list[str]:
    """What a reader must know about single rows and columns."""
    first, sort = board.rows[0].scores, board.rows[0].scores[board.sort].label
    found = []
    if any(row.rank for row in board.rows):
        found.append(
            "The rank of a row is one more than the number of rows that are significantly better "
            f"in {sort} (paired bootstrap over images, 95 %)."
        )
    if board.correct == "holm":
        found.append(
            "A difference counts only if it is also significant among all pairs of these rows "
            "(paired t-tests, corrected by Holm 1979)."
        )
    trainings = {row.training for row in board.models}
    if not board.together and {"scratch", "pretrained"} <= trainings:
        found.append(
            "Rows whose encoder was pretrained on other images stand and are ranked below those "
            "that were trained from scratch, apart from them; `main.py leaderboard --together` "
            "ranks all rows together."
        )
    if board.options.colorfulness == "absolute" and board.fixed(GROUND_TRUTH) is not None:
        found.append(DIFFERENCE_OF_MEANS_NOTE)
    if "fid" in first and (note := bias_of_fid(board.n_images)) is not None:
        found.append(note)
    if not board.together and "outside" in trainings and len(trainings) > 1:
        found.append(
            "Outsiders stand and are ranked below the models that were trained here, apart from "
            "them; `main.py leaderboard --together` ranks all rows together."
        )
    if board.no_better_than_gray:
        names = "; ".join(board.no_better_than_gray)
        found.append(f"These rows are not significantly better than gray in {sort}: {names}.")
    for row in board.models:
        counts = [test.record.samples.count if test.record.samples else 1 for test in row.tests]
        costs = [test.record.cost for test in row.tests if test.record.cost is not None]
        halved = sum(cost.learning_rate_halved for cost in costs)
        if halved:
            found.append(
                f"The training of {row.name} diverged and went back to its last good state with "
                f"half of the learning rate, {halved} time{'s' * (halved != 1)}."
            )
        if len(set(counts)) > 1:
            found.append(
                f"The seeds of {row.name} have different numbers of samples ({counts}), so its "
                "samples are not compared."
            )
    if any(len(row.seeds) > 1 for row in board.models):
        found.append('"seeds" after a value is its standard deviation over seeds.')
    elif board.models:
        found.append("Every row is of a single seed: how much training varies is not known.")
    for key in metric_keys(first):
        reasons = {row.scores[key].reason for row in board.models} - {None}
        found += [f"{first[key].label} is empty: {reason}." for reason in sorted(map(str, reasons))]
    return found
