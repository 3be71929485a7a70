"""Small base classifiers, built by name with weights drawn from a seed."""

import copy

import torch
from torch import Tensor, nn

from rs_lib.arguments import integers, one_of
from rs_lib.machines.layers import FirstConvolution, Pool
from rs_lib.record.stage import digest
from rs_lib.seeds import derive

NAMES = ("linear", "mlp", "small-cnn", "lenet", "strided-cnn")


def build(name: str, image_shape: tuple[int, int, int], classes: int, seed: int) -> nn.Module:
    """Return the network `name` for images [C, H, W] in evaluation mode, freshly initialised.

    "linear": one affine map. "mlp": two hidden layers of 256. "small-cnn": two 3x3
    convolutions, one pooling, one hidden layer of 64 (for 8x8 images). "lenet": two 5x5
    convolutions with pooling and a hidden layer of 500 (431,080 parameters on MNIST).
    "strided-cnn": two 4x4 convolutions of stride 2 and hidden layers of 500 and 100, as Levine and
    Feizi (2020) use for MNIST.
    All map float32 [N, C, H, W] to logits [N, classes]; none uses batch normalisation, so
    that an image's logits do not depend on its neighbours. Equal arguments give equal
    weights, and the global generators stay untouched.

    Raises ValueError for an unknown name or an image too small for the network.
    """
    one_of("name", name, NAMES)
    integers("classes", classes, least=2)
    integers("image_shape", image_shape, least=1)
    with torch.random.fork_rng(devices=[]):
        # Not torch.manual_seed, which would seed the generators of the GPUs as well.
        torch.default_generator.manual_seed(derive(seed, "initialisation", name))
        network = _layers(name, image_shape, classes).eval()
    # Convolutions run about twice as fast on a CPU when the channels lie innermost.
    return network.to(memory_format=torch.channels_last)


def fingerprint(model: nn.Module, image_shape: tuple[int, int, int]) -> str:
    """Return a digest of what `model` computes: of its weights, and of its logits on one image.

    The weights count to the last bit; the logits, in float64, to six digits, so that no order of
    summation shows. `model` stays as it is.
    """
    weights = {name: value.detach().cpu() for name, value in model.state_dict().items()}
    image = torch.linspace(0, 1, torch.Size(image_shape).numel(), dtype=torch.float64)
    with torch.inference_mode():
        logits = copy.deepcopy(model).cpu().double()(image.view(1, *image_shape))
    return digest({"weights": weights, "logits": [f"{value:.6g}" for value in logits.flatten()]})


class OnGrid(nn.Module):
    """`model` behind a rounding of its input to the grid of whole multiples of 1 / `levels`."""

    def __init__(self, model: nn.Module, levels: int) -> None:
        """Wrap `model`; `levels` stands for white."""
        super().__init__()
        self.model = model
        self.levels = levels

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits at the nearest grid point of each of `images`, in units of [0, 1]."""
        # The same conversion as that of rounded noise: equal integers give equal inputs.
        logits: Tensor = self.model((images * self.levels).round() * (1 / self.levels))
        return logits


def require_evaluation_mode(model: nn.Module) -> None:
    """Raise ValueError if `model` is in training mode, where its output may be random."""
    if any(module.training for module in model.modules()):
        raise ValueError("model is in training mode: call model.eval() first")


def _layers(name: str, image_shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    channels, height, width = image_shape
    pixels = channels * height * width
    if name == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(pixels, classes))
    if name == "mlp":
        hidden = [nn.Linear(pixels, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
        return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(256, classes))
    if name == "small-cnn":
        _require_size(name, image_shape, least=2)
        return nn.Sequential(
            nn.Conv2d(channels, 16, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            Pool(),
            nn.Flatten(),
            nn.Linear(32 * (height // 2) * (width // 2), 64),
            nn.ReLU(),
            nn.Linear(64, classes),
        )
    if name == "strided-cnn":
        _require_size(name, image_shape, least=4)
        return nn.Sequential(
            nn.Conv2d(channels, 64, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 128, 4, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(128 * (height // 4) * (width // 4), 500),
            nn.ReLU(),
            nn.Linear(500, 100),
            nn.ReLU(),
            nn.Linear(100, classes),
        )
    _require_size(name, image_shape, least=16)
    rows, columns = (((size - 4) // 2 - 4) // 2 for size in (height, width))
    return nn.Sequential(
        # Pooling first leaves ReLU a quarter of the work; the two commute.
        FirstConvolution(channels, 20, 5),
        Pool(),
        nn.ReLU(),
        nn.Conv2d(20, 50, 5),
        Pool(),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(50 * rows * columns, 500),
        nn.ReLU(),
        nn.Linear(500, classes),
    )


def _require_size(name: str, image_shape: tuple[int, int, int], *, least: int) -> None:
    if min(image_shape[1:]) < least:
        raise ValueError(
            f"image_shape is {image_shape}: {name} needs images of at least {least}x{least} pixels"
        )
