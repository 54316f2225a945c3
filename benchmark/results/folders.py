"""The layout of a run's folder: every file name of a run."""

from pathlib import Path

from benchmark.errors import UserError

FIXED_RUNS = ("gray", "ground-truth", "mean-ab")
"""Runs of the fixed rows, the last one with a hash; the names are theirs alone."""


def require_run_name(option: str, name: str) -> None:
    """UserError unless a run may be called so: one folder, of printable signs, nobody else's."""
    if not name.isprintable() or not name.strip(" ") or {"/", "\\"} & set(name):
        raise UserError(f"{option} {name!r}: the name of a folder is needed, not a path.")
    if len(name.encode(errors="replace")) > 100:
        raise UserError(f"{option}: a name of at most 100 bytes is needed.")
    reserved = name in FIXED_RUNS or name.startswith((".", "leaderboard.", "mean-ab-"))
    if reserved:
        raise UserError(f"{option} {name}: that name is taken by the suite itself.")


class RunFolder:
    """Results/<run>/seed-<N>: where everything of one training is."""

    def __init__(self, results: Path, run: str, seed: int) -> None:
        self.results, self.run, self.seed = results, run, seed
        self.path = results / run / f"seed-{seed}"
        self.settings = self.path / "settings.json"
        self.history = self.path / "history.jsonl"
        self.cost = self.path / "cost.json"
        self.loss_curve = self.path / "loss_curve.png"
        self.state = self.path / "state.pt"
        self.weights = self.path / "weights"
        self.tests = self.path / "tests"

    def weights_of(self, which: str | int) -> Path:
        """The file of `best`, `last` or an epoch's number."""
        stem = f"epoch_{which:04d}" if isinstance(which, int) else which
        return self.weights / f"{stem}.safetensors"

    def weights_there(self) -> list[str]:
        """Which weights there are, as `--weights` names them."""
        return sorted(path.stem for path in self.weights.glob("[!.]*.safetensors"))

    def sample(self, epoch: int) -> Path:
        return self.path / "samples" / f"epoch_{epoch:04d}.png"

    @classmethod
    def of_weights(cls, path: Path) -> "RunFolder":
        """The run that a file of weights belongs to. UserError if it lies in none."""
        folder = path.resolve().parent.parent
        seed = folder.name.removeprefix("seed-")
        if not (folder / "settings.json").is_file() or not seed.isdecimal():
            raise UserError(
                f"{path} lies in no run's folder: settings.json, beside its folder weights/, has "
                "to say what it was trained on."
            )
        return cls(folder.parent.parent, folder.parent.name, int(seed))

    @classmethod
    def of_test(cls, test: Path) -> "RunFolder":
        """The run that the folder of a test belongs to."""
        seed = test.resolve().parent.parent
        number = seed.name.removeprefix("seed-")
        if not number.isdecimal():
            raise UserError(f"{test} lies in no run's folder, Results/<run>/seed-<N>/tests/.")
        return cls(seed.parent.parent, seed.parent.name, int(number))

    def choose_weights(self, which: str) -> Path:
        """The file that `--weights` names. UserError that says which there are if it is not one."""
        for path in (self.weights_of(int(which) if which.isdecimal() else which), Path(which)):
            if path.is_file():
                return path
        there = self.weights_there()
        if not there:
            raise UserError(f"{self.path} has no weights yet: train first, with --mode train.")
        raise UserError(f"There are no weights {which!r} in {self.weights}; {', '.join(there)}.")
