"""Only genuine weights are used: other files are refused, and no network is random."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision  # type: ignore[import-untyped]
from lpips import LPIPS
from torch import Tensor, nn
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from benchmark.errors import UserError
from benchmark.files import sha256_of_file
from benchmark.metrics import networks
from benchmark.metrics.images import lpips
from benchmark.metrics.networks import LPIPS_BACKBONES, NoBackbone, lpips_network
from benchmark.metrics.options import LpipsBackbone, MetricOptions
from benchmark.metrics.table import load_metric_suite


@pytest.fixture
def no_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine with an empty cache, no network and no variable set."""

    def fail(*_: Any, **__: Any) -> None:
        raise URLError("no network")

    for variable in (networks.LPIPS_VARIABLE, networks.INCEPTION_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", fail)
    caches = (lpips_network, networks._find_lpips, networks.inception_network)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def random_layers(key: LpipsBackbone) -> dict[str, Tensor]:
    """Return randomly initialized convolution layers of a backbone."""
    models = torchvision.models
    make = {"alex": models.alexnet, "squeeze": models.squeezenet1_1, "vgg": models.vgg16}[key]
    with torch.device("meta"):
        shapes = {k: v.shape for k, v in make().state_dict().items() if k.startswith("features.")}
    return {name: 0.02 * torch.randn(shape) for name, shape in shapes.items()}


KEYS: list[LpipsBackbone] = ["alex", "squeeze"]


@pytest.mark.usefixtures("no_backbone")
@pytest.mark.parametrize("key", [*KEYS, "vgg"])
def test_without_a_backbone_there_is_a_reason_and_no_network(key: LpipsBackbone) -> None:
    with pytest.raises(NoBackbone, match=networks.LPIPS_VARIABLE):
        lpips_network(None, key)
    found = load_metric_suite(MetricOptions(lpips_backbone=key))
    assert not found.networks
    assert LPIPS_BACKBONES[key].name in found.unavailable["lpips"]
    assert networks.INCEPTION_VARIABLE in found.unavailable["kid"]


@pytest.mark.usefixtures("no_backbone")
@pytest.mark.parametrize("key", [*KEYS, "vgg"])
def test_random_weights_are_refused(
    key: LpipsBackbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "random.pth"
    torch.save(random_layers(key), path)
    refusal = rf"random\.pth does not hold {LPIPS_BACKBONES[key].name}"
    with pytest.raises(UserError, match=refusal):
        lpips_network(str(path), key)
    monkeypatch.setenv(networks.LPIPS_VARIABLE, str(path))
    with pytest.raises(UserError, match=refusal):
        lpips_network(None, key)


@pytest.mark.usefixtures("no_backbone")
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("fault", ["none", "order", "missing", "other"])
def test_only_genuine_layers_are_accepted(
    key: LpipsBackbone, fault: str, lpips_weights: dict[str, Path], tmp_path: Path
) -> None:
    layers = torch.load(lpips_weights[key], weights_only=True)
    name = "features.3.squeeze.weight" if key == "squeeze" else "features.3.weight"
    if fault == "order":  # the same numbers shuffled, which mean and deviation would not detect
        values = layers[name].flatten()
        layers[name] = values[torch.randperm(len(values))].view_as(layers[name])
    elif fault == "missing":
        del layers[name.replace("weight", "bias")]
    elif fault == "other":
        (other,) = {"alex", "squeeze"} - {key}
        layers = torch.load(lpips_weights[other], weights_only=True)
    layers["classifier.1.weight"] = torch.zeros(3)  # part of torchvision's file, which is not used
    torch.save(layers, tmp_path / "layers.pth")
    if fault == "none":
        lpips_network(str(tmp_path / "layers.pth"), key)
    else:
        with pytest.raises(
            UserError, match=rf"layers\.pth does not hold {LPIPS_BACKBONES[key].name}"
        ):
            lpips_network(str(tmp_path / "layers.pth"), key)


@pytest.mark.usefixtures("no_backbone")
def test_vgg16_is_known_by_the_hash_of_its_file_and_is_the_packages_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision puts the start of that hash into the file's name."""
    layers, path = random_layers("vgg"), tmp_path / "vgg16.pth"
    torch.save(layers, path)
    url = f"https://example.org/vgg16-{sha256_of_file(path)[:8]}.pth"
    monkeypatch.setitem(LPIPS_BACKBONES, "vgg", networks.Backbone("VGG16", url, None))
    found = lpips_network(str(path), "vgg")
    reference = LPIPS(net="vgg", pnet_rand=True, verbose=False).eval()
    for name, layer in reference.net.named_modules():
        if isinstance(layer, nn.Conv2d):
            place = f"features.{name.rpartition('.')[2]}"
            layer.load_state_dict({k: layers[f"{place}.{k}"] for k in ("weight", "bias")})
    first, second = torch.rand(2, 2, 3, 32, 32)
    with torch.no_grad():
        expected = reference(2 * first - 1, 2 * second - 1).flatten()
        torch.testing.assert_close(lpips(first, second, found), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("no_backbone")
@pytest.mark.parametrize("content", [b"", b"these are not weights", b"PK\x03\x04 nor is this"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pth does not hold AlexNet") as caught:
        lpips_network(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("no_backbone")
def test_other_tensors_and_missing_files_are_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    torch.save([torch.zeros(3)], tmp_path / "list.pth")
    for name in ("other.pth", "list.pth"):
        with pytest.raises(UserError, match=name):
            lpips_network(str(tmp_path / name))
    with pytest.raises(UserError, match="there is no file"):
        lpips_network(str(tmp_path / "missing.pth"))


@pytest.mark.usefixtures("no_backbone")
def test_a_pickle_that_would_run_code_is_refused_and_not_run(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return sys.exit, (1,)

    torch.save({"features.0.weight": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(UserError, match=r"bomb\.pth"):
        lpips_network(str(tmp_path / "bomb.pth"))


# ---- genuine weights -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", KEYS)
def test_lpips_equals_the_package_with_the_same_weights(
    key: LpipsBackbone,
    lpips_weights: dict[str, Path],
    package_lpips: Callable[[str], nn.Module],
) -> None:
    reference, network = package_lpips(key), lpips_network(str(lpips_weights[key]), key)
    generator = torch.Generator().manual_seed(7)
    for height, width in ((64, 48), (96, 128)):  # images with small maps only, and with larger ones
        prediction, truth = torch.rand(2, 4, 3, height, width, generator=generator)
        with torch.no_grad():
            expected = reference(prediction, truth, normalize=True).flatten()
            ours = lpips(prediction, truth, network)
        assert float(expected.min()) > 0.05
        torch.testing.assert_close(ours, expected, atol=1e-5, rtol=0)
        assert lpips(truth, truth, network).abs().max() == 0
    assert not network.training
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_lpips_squeeze_gives_the_values_in_the_documentation_of_torchmetrics(
    lpips_weights: dict[str, Path],
) -> None:
    generator = torch.Generator().manual_seed(42)
    first, second = (torch.rand(2, 3, 100, 100, generator=generator) for _ in range(2))
    network = lpips_network(str(lpips_weights["squeeze"]), "squeeze")
    values = lpips(first, second, network)
    torch.testing.assert_close(values, torch.tensor([0.1024, 0.0938]), atol=5e-5, rtol=0)


# ---- Inception -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_backbone")
def test_another_file_with_the_name_of_inceptions_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = networks.INCEPTION_URL.rpartition("/")[2]
    path = tmp_path / "hub" / "checkpoints" / name
    path.parent.mkdir(parents=True)
    torch.save({"weight": torch.zeros(3)}, path)  # the right name in the right folder
    with pytest.raises(UserError, match="is not torch-fidelity's file"):
        networks.inception_network()
    monkeypatch.setenv(networks.INCEPTION_VARIABLE, str(tmp_path / "missing.pth"))
    with pytest.raises(UserError, match=r"missing\.pth cannot be read"):
        networks.inception_network()


@pytest.mark.usefixtures("no_backbone")
def test_inception_resizes_as_torch_fidelity_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without antialiasing, as the protocol states; it would change the features."""
    with torch.device("meta"):
        monkeypatch.setattr(torch, "load", lambda *_, **__: {})
        monkeypatch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        shapes = FeatureExtractorInceptionV3("shapes", ["2048"], "none").state_dict()
    monkeypatch.undo()
    generator = torch.Generator().manual_seed(0)
    state = {
        key: torch.zeros(shape.shape, dtype=torch.long)
        if key.endswith("num_batches_tracked")
        else 0.05 * torch.randn(shape.shape, generator=generator).abs()
        for key, shape in shapes.items()
    }
    path = tmp_path / "inception.pth"
    torch.save(state, path)
    ours = networks.InceptionFeatures(path, "0" * 64).eval()
    reference = FeatureExtractorInceptionV3("reference", ["64", "2048"], str(path))
    rgb8 = torch.randint(0, 256, (2, 3, 64, 48), dtype=torch.uint8, generator=generator)
    with torch.no_grad():
        first, expected = reference(rgb8)
        assert torch.equal(ours(rgb8), expected)
        assert expected.shape == (2, 2048)
        smoothed = nn.functional.interpolate(
            rgb8.float(), (299, 299), mode="bilinear", antialias=True
        )
        assert not torch.allclose(reference(smoothed.round().byte())[0], first, rtol=1e-3)
