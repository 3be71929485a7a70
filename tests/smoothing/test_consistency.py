"""Models that are no function of each image are refused, however little they stray."""

import random

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import resnet18

from rs_lib import smoothing
from rs_lib.machines import models
from rs_lib.noise import Gaussian, Rounded
from rs_lib.smoothing import consistency
from rs_lib.smoothing.executed import PRECISIONS, Executed

SHAPE = (1, 6, 6)
LAW = Rounded(Gaussian(0.5))


class Strays(nn.Module):
    """An affine map, and what `stray` adds to its logits [N, 3], given the images and calls."""

    def __init__(self, stray):
        super().__init__()
        self.layer = nn.Linear(36, 3)
        with torch.no_grad():
            draw = torch.Generator().manual_seed(1)
            self.layer.weight.copy_(torch.randn(3, 36, generator=draw))
        self.stray, self.calls = stray, 0
        self.own = torch.Generator().manual_seed(2)

    def forward(self, images):
        self.calls += 1
        flat = images.flatten(1)
        return self.layer(flat) + self.stray(self, flat)


def _noise(model, flat):
    return 1e-3 * torch.randn((len(flat), 3), generator=model.own)


STRAYS = {
    "noise of 0.001": _noise,
    "noise of the last digits": lambda model, flat: 1e-3 * _noise(model, flat),
    "global noise, drawn and not used": lambda model, flat: 0 * torch.rand(1),
    "noise of NumPy": lambda model, flat: 1e-3 * np.random.rand(),  # noqa: NPY002
    "noise of Python": lambda model, flat: 1e-3 * random.random(),  # noqa: S311
    "dropout": lambda model, flat: nn.functional.dropout(flat[:, :3], 0.1, training=True),
    "a counter": lambda model, flat: 1e-3 * model.calls,
    "two per cent of the mean": lambda model, flat: 0.02 * flat[:, :3].mean(0),
    "two per cent of the largest": lambda model, flat: 0.02 * flat[:, :3].amax(0),
    "a largest value that [0, 1] never exceeds": lambda model, flat: (
        0.01 * (flat[:, :3] / flat.abs().amax().clamp(min=1))
    ),
    "a mean of what lies below 0": lambda model, flat: 0.1 * nn.functional.relu(-flat).mean(),
    "the range of the batch": lambda model, flat: (
        (flat[:, :3] - flat.min()) / (flat.max() - flat.min())
    ),
    "the mean, beside a masked class": lambda model, flat: torch.cat(
        (flat[:, :2].mean(0).expand(len(flat), 2), torch.full((len(flat), 1), -1e9)), 1
    ),
    "the first row": lambda model, flat: 0.01 * flat[:1, :3],
    "the row before": lambda model, flat: 0.01 * flat.roll(1, 0)[:, :3],
    "the place in the tile": lambda model, flat: 1e-4 * torch.arange(len(flat))[:, None],
}


@pytest.mark.parametrize("stray", STRAYS)
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_model_that_is_no_function_of_each_image_is_refused(stray, precision):
    model = Strays(STRAYS[stray]).eval()
    told = "model (draws random numbers|gives (an image|the same images) other logits)"
    if precision == "bfloat16" and stray == "noise of the last digits":
        pytest.skip("bfloat16 rounds noise of one millionth away")
    with pytest.raises(ValueError, match=told):
        Executed(model, classes=3, precision=precision).probe(SHAPE)


def test_a_change_during_the_run_is_found():
    images = torch.zeros((1, *SHAPE), dtype=torch.uint8)

    def late(model, flat):
        return 1e-3 * (model.calls > 15)

    for run, plan in ((smoothing.certify, smoothing.FixedSamples(3000)), (smoothing.predict, 3000)):
        with pytest.raises(ValueError, match="other logits than before the run"):
            run(Strays(late).eval(), images, LAW, plan, classes=3, seed=0)


def test_company_that_matters_for_real_images_only_is_found():
    """No pixel of the probe lies between -8 and 0; of noisy images many do."""
    images = torch.zeros((1, *SHAPE), dtype=torch.uint8)

    def dark(model, flat):
        return 0.01 * flat.masked_fill((flat > 0) | (flat == -8), 0).roll(1, 0)[:, :3]

    model = Strays(dark).eval()
    Executed(model, classes=3).probe(SHAPE)
    with pytest.raises(ValueError, match="other logits in other company"):
        smoothing.certify(model, images, LAW, smoothing.FixedSamples(100), classes=3, seed=0)


class OneScore(nn.Module):
    """Two classes by z, the mean of an image less 1/2; `shared` makes the z of a batch of them."""

    def __init__(self, shared):
        super().__init__()
        self.shared = shared

    def forward(self, images):
        z = self.shared(images.flatten(1).mean(1) - 0.5, images)
        return torch.stack((-z, z), 1)


def _by_groups(size):
    def shared(z, images):
        return z.view(-1, size).mean(1).repeat_interleave(size)

    return shared


def _mirrored(z, images):
    place = torch.arange(len(z))
    return z + (torch.minimum(place, len(z) - 1 - place) % 2)


def _by_rule(value):
    def shared(z, images):
        return torch.where(images[:, 0, 0, 0] > 0.95, value, z.mean().expand_as(z))

    return shared


SHARED = {
    **{f"means of {size} neighbours": _by_groups(size) for size in (2, 4, 16, 32, 64)},
    "the distance from the end": _mirrored,
    "the order of a group": lambda z, images: z.view(-1, 8).sort(dim=1).values.flatten(),
    "the mean, beside a rule of 1e5": _by_rule(1e5),
    "the mean, beside a rule of -1e6": _by_rule(-1e6),
    "the mean, beside a rule of 1e9": _by_rule(1e9),
}


@pytest.mark.parametrize("shared", SHARED)
def test_rows_that_share_something_are_refused(shared):
    """However they are grouped, and whatever one row among them has for a logit."""
    with pytest.raises(ValueError, match="other logits in other company"):
        Executed(OneScore(SHARED[shared]).eval(), classes=2).probe((1, 2, 2))


def test_what_a_batch_decides_when_all_its_rows_agree_is_found():
    """An early exit that is taken together: next to never by a tile, often by one image."""

    def early(z, images):
        sure = 12 * z
        return torch.where((sure.abs() > 1.5).all(), -sure, 0.01 * z + 1)

    images = torch.full((1, 1, 2, 2), 242, dtype=torch.uint8)
    with pytest.raises(ValueError, match="other logits in other company"):
        smoothing.certify(
            OneScore(early).eval(), images, LAW, smoothing.FixedSamples(100), classes=2, seed=0
        )


def test_rounding_by_place_is_no_leak_where_all_of_a_tile_lies_at_a_boundary():
    """Kernels may round a row by its place: by units of its logits, not of its lead."""

    class Rounds(nn.Module):
        def forward(self, images):
            z = 8 * (images.flatten(1).mean(1) - 0.5)
            odd = torch.arange(len(z))[:, None] % 2
            return torch.stack((8 - z, 8 + z), 1) * (1 + torch.finfo(torch.float32).eps * odd)

    executed = Executed(Rounds().eval(), classes=2)
    assert executed.rows((1, 2, 2)).startswith("within ")
    for lead in (1.0, 0.1, 0.01):
        executed.watch(torch.full((executed.tile, 1, 2, 2), 0.5 + lead / 16))


def test_a_probability_is_no_logit():
    class Sigmoid(nn.Module):
        def forward(self, images):
            return torch.sigmoid(images.flatten(1).mean(1) - 0.5)

    with pytest.raises(ValueError, match="one number from 0 to 1 for each image, as a sigmoid"):
        Executed(Sigmoid().eval(), classes=2).probe((1, 2, 2))


@pytest.mark.parametrize(
    ("precision", "dtype", "offset", "lead"),
    [("float32", torch.float64, 1e8, 3.0), ("bfloat16", torch.float32, 20.0, 0.05)],
)
def test_logits_keep_the_format_that_the_model_gives_them(precision, dtype, offset, lead):
    """Rounded to that of the network, class 1 would tie with class 0, which wins ties."""

    class Finer(nn.Module):
        def forward(self, images):
            zero = images.flatten(1).mean(1).to(dtype) * 0
            return torch.stack((zero + offset, zero + offset + lead), 1)

    executed = Executed(Finer().eval(), classes=2, precision=precision)
    executed.probe((1, 2, 2))
    rows = torch.rand(2 * executed.tile, 1, 2, 2, generator=torch.Generator().manual_seed(6))
    assert (executed.answers(rows) == 1).all()
    exact = 1 / (1 + np.exp(-lead))
    np.testing.assert_allclose(executed.scores(rows)[:, 1].numpy(), exact, rtol=1e-5)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", [*models.NAMES, "resnet"])
def test_networks_of_the_book_are_functions_to_the_last_bit(name, precision):
    shape = (3, 16, 16)
    torch.manual_seed(3)
    network = resnet18(num_classes=4).eval() if name == "resnet" else None
    network = network or models.build(name, shape, 4, seed=1)
    executed = Executed(network, classes=4, precision=precision, tile=16)
    assert executed.rows(shape) == consistency.BITWISE
    executed.require_unchanged(shape)


def test_the_last_digits_may_follow_the_company_and_are_told():
    """Two units of the last place of float32, as other kernels may differ by."""
    unit = 2 * torch.finfo(torch.float32).eps

    def digits(model, flat):
        return unit * model.layer(flat) * torch.where(flat.flip(0)[:, :1] > 0.5, 1.0, 0.0)

    executed = Executed(Strays(digits).eval(), classes=3)
    told = executed.rows(SHAPE)
    assert told.startswith("within ")
    assert 0 < float(told.split()[1]) <= consistency.TOLERANCE["cpu", "float32"]


@pytest.mark.parametrize("offset", [0.0, 3e5, 1e6])
def test_an_offset_of_all_logits_hides_no_company(offset):
    """The answer turns with the mean of the tile; float32 holds the offset and the leads."""

    class Leak(nn.Module):
        def forward(self, images):
            lean = ((images.mean() - 0.5) * 100).clamp(-1, 1)
            return torch.stack(
                [lean.new_full((len(images),), offset), offset + lean.expand(len(images))], 1
            )

    images = torch.full((1, *SHAPE), 255, dtype=torch.uint8)
    with pytest.raises(ValueError, match="other logits in other company"):
        smoothing.certify(Leak().eval(), images, LAW, smoothing.FixedSamples(50), classes=2, seed=0)


class InPlace(Strays):
    """An honest model that normalises the images it is given, in place."""

    def forward(self, images):
        return self.layer(images.sub_(0.5).div_(0.25).flatten(1))


def test_a_model_that_works_in_place_is_counted_as_one_that_does_not():
    """The images that a check looks at are counted afterwards: they must not be changed."""
    images = torch.randint(0, 256, (3, *SHAPE), generator=torch.Generator().manual_seed(4))
    images, options = images.to(torch.uint8), {"classes": 3, "seed": 5, "alpha": 0.01}
    own = InPlace(lambda model, flat: 0).eval()
    apart = nn.Sequential(_Normalised(), nn.Flatten(), own.layer).eval()
    one, other = (
        smoothing.certify(model, images, LAW, smoothing.FixedSamples(300), **options)
        for model in (own, apart)
    )
    np.testing.assert_array_equal(one.selected, other.selected)
    np.testing.assert_array_equal(one.successes, other.successes)


class _Normalised(nn.Module):
    def forward(self, images):
        return (images - 0.5) / 0.25


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda flat: (flat, flat), "model returns a tuple: let it return its logits"),
        (lambda flat: flat[:, :3].long(), "model gives logits of type torch.int64"),
        (lambda flat: flat[:, :3].to(torch.complex64), "logits of type torch.complex64"),
        (lambda flat: flat[:1, :3], r"logits of shape \(1, 3\) for 128 images"),
        (lambda flat: flat @ torch.zeros(36, 3).half(), "model mixes number formats"),
        (lambda flat: flat @ torch.zeros(35, 3), "which the model does not take"),
        (lambda flat: {}["logits"], "model fails on images .*logits"),
        (lambda flat: flat.nothing, "model fails on images .*nothing"),
    ],
)
def test_what_is_no_logits_has_a_remedy_of_its_own(answer, told):
    class Answers(nn.Module):
        def forward(self, images):
            return answer(images.flatten(1))

    with pytest.raises(ValueError, match=told):
        Executed(Answers().eval(), classes=3).probe(SHAPE)


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (None, "model is None: give a torch.nn.Module"),
        (nn.Linear, "model is <class .*Linear.>: give a torch.nn.Module, or a function"),
        (nn.Linear(4, 3, dtype=torch.complex64).eval(), "model has complex weights"),
    ],
)
def test_what_is_no_model_is_told(model, told):
    with pytest.raises(ValueError, match=told):
        Executed(model, classes=3)


def test_a_model_in_half_precision_is_converted():
    model = models.build("mlp", SHAPE, 3, seed=1).half()
    images = torch.zeros((1, *SHAPE), dtype=torch.uint8)
    smoothing.certify(model, images, LAW, smoothing.FixedSamples(100), classes=3, seed=0)
    assert next(model.parameters()).dtype == torch.float16


OFFSETS = [0.0, 30.0, (0.0, 0.0, -1e9), (-np.inf, 0.0, 0.0)]


class InOrder(nn.Module):
    """An affine map of the numbers of each image as they lie in memory, as engines read them.

    Plus an `offset`, of all logits or by class; `orders` brings the images into order before.
    """

    def __init__(self, offset, *, orders):
        super().__init__()
        self.register_buffer(
            "weights", torch.randn(27, 3, generator=torch.Generator().manual_seed(3))
        )
        self.offset, self.orders = torch.tensor(offset), orders

    def forward(self, images):
        images = images.contiguous() if self.orders else images
        flat = images.as_strided((len(images), 27), (27, 1))
        return 0.1 * flat @ self.weights + self.offset


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("offset", OFFSETS)
def test_a_model_that_reads_memory_in_order_is_refused(precision, offset):
    executed = Executed(InOrder(offset, orders=False).eval(), classes=3, precision=precision)
    with pytest.raises(ValueError, match=r"channels-last in memory: let it call contiguous\(\)"):
        executed.probe((3, 3, 3))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("offset", OFFSETS)
def test_one_that_orders_its_images_first_is_taken(precision, offset):
    model = InOrder(offset, orders=True).eval()
    Executed(model, classes=3, precision=precision).probe((3, 3, 3))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0])
def test_kernels_for_either_layout_may_round_differently(precision, scale):
    """Also where the images hardly move the logits, so that rounding is most of what moves them."""
    model = models.build("small-cnn", (3, 16, 16), 10, seed=1)
    last = [part for part in model.modules() if isinstance(part, nn.Linear)][-1]
    with torch.no_grad():
        last.weight.mul_(scale)
    Executed(model.eval(), classes=10, precision=precision).probe((3, 16, 16))
