"""The published weights of outsiders: found, checked and loaded, or a sentence says why not."""

from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.errors import UserError
from benchmark.files import sha256_of_bytes
from benchmark.outsider import Outsider, PublishedFile, Variant
from benchmark.outsider_weights import load_published
from benchmark.registry import load_outsider
from outsiders import deoldify, zhang16
from tests.outsider_support import (
    add_outsider,
    random_tensors,
    saved,
    tiny_source,
    tiny_weights,
)
from tests.web_support import serving

BODY = saved(tiny_weights())


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of torch."""
    folder = tmp_path / "hub"
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(folder))
    return folder / "checkpoints"


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outsider:
    """The tiny outsider, whose weights cannot be downloaded."""
    monkeypatch.delenv("CHROMABENCH_TINY", raising=False)
    add_outsider(tmp_path, monkeypatch, "tiny", tiny_source("http://127.0.0.1:9/tiny.pth", BODY))
    return load_outsider("tiny")("release")


def test_the_weights_of_a_large_network_are_downloaded_and_loaded(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network of zhang16 with random weights, from a web server to a colored image."""
    tensors = random_tensors(zhang16.Model("release").network)
    body = saved(tensors)
    with serving() as site:
        site.bodies["/w.pth"] = body
        file = PublishedFile(f"{site.address}/w.pth", sha256_of_bytes(body), 129)
        facts = zhang16.Model.variants["release"].facts
        monkeypatch.setattr(zhang16.Model, "variants", {"release": Variant(facts, file)})
        outsider = zhang16.Model("release").eval()
        load_published(outsider, "zhang16", None)
    assert [path.name for path in hub.glob("[!.]*")] == ["w.pth"]
    assert torch.equal(outsider.network.model_out.weight, tensors["model_out.weight"])
    monkeypatch.setattr(zhang16, "SIDE", 64)
    lightness = torch.linspace(20, 80, 32 * 32).view(1, 1, 32, 32)
    assert outsider.colorize(lightness, seeds=[0]).shape == (1, 3, 32, 32)


@pytest.mark.parametrize("way", ["--weights", "CHROMABENCH_TINY", "cache"])
def test_a_file_is_taken_from_where_it_is(
    way: str, tiny: Outsider, tmp_path: Path, hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = hub / "tiny.pth" if way == "cache" else tmp_path / "elsewhere.pth"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(BODY)
    if way == "CHROMABENCH_TINY":
        monkeypatch.setenv(way, str(path))
    load_published(tiny, "tiny", str(path) if way == "--weights" else None)
    assert torch.equal(tiny.network[0].weight, tiny_weights()["0.weight"])


def _changed(**tensors: torch.Tensor) -> bytes:
    return saved({**tiny_weights(), **tensors})


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"<html>Not found</html>", "is a web page and not a file of weights"),
        (BODY[:-200], "is damaged, or not a file of weights"),
        (b"", "is damaged, or not a file of weights"),
        (b"no weights at all", "is damaged, or not a file of weights"),
        (saved([1, 2]), "is not a file of this network's weights"),
        (_changed(more=torch.zeros(1)), "holds the weights of another network"),
        (saved({"conv.weight": torch.zeros(3)}), "holds the weights of another network"),
        (_changed(**{"0.bias": torch.ones(2)}), "holds other weights of this network"),
    ],
)
def test_a_file_that_is_not_the_published_one_is_refused(
    body: bytes, fault: str, tiny: Outsider, tmp_path: Path
) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(body)
    with pytest.raises(UserError, match=fault) as caught:
        load_published(tiny, "tiny", str(path))
    assert "\n" not in str(caught.value)
    assert "http://127.0.0.1:9/tiny.pth" in str(caught.value)
    assert path.read_bytes() == body


def test_without_weights_one_sentence_says_how_to_get_them(
    tiny: Outsider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match=r"cannot be downloaded .*--weights or CHROMABENCH_TINY\."):
        load_published(tiny, "tiny", None)
    with pytest.raises(UserError, match="--weights: there is no file"):
        load_published(tiny, "tiny", str(tmp_path / "none.pth"))
    monkeypatch.setenv("CHROMABENCH_TINY", str(tmp_path / "none.pth"))
    with pytest.raises(UserError, match="CHROMABENCH_TINY: there is no file"):
        load_published(tiny, "tiny", None)
    with pytest.raises(UserError, match="welsh needs no weights"):
        load_published(load_outsider("welsh")("exemplars"), "welsh", "w.pth")


class Evil:
    """A pickle that would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("evil"),))


def test_no_pickled_code_is_run(
    tiny: Outsider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pth").write_bytes(saved({**tiny_weights(), "evil": Evil()}))
    with pytest.raises(UserError, match="is damaged, or not a file of weights"):
        load_published(tiny, "tiny", "w.pth")
    assert not (tmp_path / "evil").exists()


def test_weights_beside_an_optimizer_s_state_are_read(tmp_path: Path) -> None:
    """As fastai saves them for DeOldify: with slices, which torch reads only if told to."""
    from benchmark.outsider_weights import _read

    (tmp_path / "w.pth").write_bytes(
        saved({"model": tiny_weights(), "opt": {"lr": slice(None, 1e-3, None)}})
    )
    tensors = _read(deoldify.Model("artistic"), tmp_path / "w.pth")
    assert tensors.keys() == tiny_weights().keys()
