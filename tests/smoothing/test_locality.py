"""Band classifiers that see more than they declare are refused, with position and pixel."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from rs_lib import __main__ as command_line
from rs_lib.machines import bands, column_network, residual
from rs_lib.machines.band_classifier import BandClassifier, images_of_a_pass, probabilities
from rs_lib.smoothing import locality, patch_attack

SHAPE = (1, 8, 9)
REAL = (torch.rand((20, *SHAPE), generator=torch.Generator().manual_seed(1)) > 0.6).float()


class Leaks(BandClassifier):
    """A network of columns of 2 and what `leak` adds to its logits [N, 9, 3], given the images."""

    def __init__(self, leak, band=2):
        super().__init__()
        self.inner = column_network.column_network(SHAPE, 3, band, 1)
        self.positions, self.leak, self.calls = 9, leak, 0

    def forward(self, images):
        self.calls += 1
        return self.inner(images) + self.leak(self, images)

    def sees(self, height, width):
        return bands.masks("columns", 2, height, width)

    def lesson(self, labels, draw):
        raise NotImplementedError


def _only(images, place, value):
    """`value` [N] at position `place`, 0 elsewhere: [N, 9, 1]."""
    added = torch.zeros((len(images), 9, 1))
    added[:, place, 0] = value
    return added


LEAKS = {
    "the mean": lambda model, x: 1e-3 * x.mean((1, 2, 3))[:, None, None],
    "the mean, hardly": lambda model, x: 1e-5 * x.mean((1, 2, 3))[:, None, None],
    "one pixel": lambda model, x: _only(x, 3, 0.01 * x[:, 0, 5, 7]),
    "one pixel beside the view": lambda model, x: _only(x, 3, 0.01 * x[:, 0, 5, 5]),
    "one pixel before the view": lambda model, x: _only(x, 3, 0.01 * x[:, 0, 0, 2]),
    "white pixels only": lambda model, x: _only(x, 0, 0.1 * (x[:, 0, 2, 4] == 1)),
    "black pixels only": lambda model, x: _only(x, 8, 0.1 * (x[:, 0, 2, 4] == 0)),
    "two pixels together": lambda model, x: _only(
        x, 3, 0.1 * ((x[:, 0, 1, 0] + x[:, 0, 7, 8]) > 1.9)
    ),
    "a wide first layer": lambda model, x: nn.functional.avg_pool2d(x, (8, 3), 1, (0, 1)).mT[:, 0],
}


def test_images_with_the_channels_last_are_refused():
    """A band of columns would be a band of colours."""
    shape = (16, 16, 3)
    model = bands.MaskedNetwork(nn.Flatten(), bands.masks("columns", 1, *shape[1:])).eval()
    with pytest.raises(ValueError, match=r"which looks like \[N, H, W, C\]: give \[N, C, H, W\]"):
        probabilities(model, torch.zeros((2, *shape)))


@pytest.mark.parametrize("leak", LEAKS)
def test_a_view_that_is_wider_than_declared_is_refused(leak):
    model = Leaks(LEAKS[leak]).eval()
    with pytest.raises(ValueError, match=r"logits at position \d+ change with .*pixel") as refusal:
        locality.Watched(model).probe(REAL)
    told = str(refusal.value)
    pixel = re.search(r"position (\d+) change with the pixel \((\d+), (\d+)\)", told)
    if "together" in leak:
        assert "2 pixels together" in told
        return
    place, row, column = map(int, pixel.groups())
    assert (column - place) % 9 >= 2
    known = {"one pixel": (5, 7), "one pixel beside the view": (5, 5)}
    known["one pixel before the view"] = (0, 2)
    if leak in known:
        assert (place, row, column) == (3, *known[leak])


def test_a_network_of_wider_bands_is_refused_whatever_it_declares():
    for band in (3, 9):
        with pytest.raises(ValueError, match="change with the pixel"):
            locality.Watched(Leaks(lambda model, x: 0, band).eval()).probe(REAL)
    declared = locality.Watched(Leaks(lambda model, x: 0).eval()).probe(REAL)
    assert declared["images"] == "bitwise"
    assert declared["views"].startswith("bitwise: 36 changes")


@pytest.mark.parametrize(
    ("leak", "told"),
    [
        (lambda model, x: 1e-3 * torch.rand(1), "draws random numbers"),
        (lambda model, x: 1e-3 * (model.calls % 2), "other logits"),
        (lambda model, x: 1e-3 * x.mean(), "other company"),
        (lambda model, x: 1e-3 * x.amax(0).mean(), "other company|change with"),
        (lambda model, x: nn.functional.dropout(x.mean((1, 2, 3)))[:, None, None], "draws random"),
    ],
)
def test_a_network_that_is_no_function_of_each_image_is_refused(leak, told):
    with pytest.raises(ValueError, match=told):
        locality.Watched(Leaks(leak).eval()).probe(REAL)


class BatchStatistics(nn.Module):
    """Logits of views that depend on the other views of the batch."""

    def __init__(self, share):
        super().__init__()
        self.flat = nn.Sequential(nn.Flatten(), nn.Linear(2 * 72, 3))
        self.share = share

    def forward(self, views):
        logits = self.flat(views)
        return logits - self.share * logits.mean(0)


@pytest.mark.parametrize("kind", bands.KINDS)
def test_a_network_of_views_that_looks_at_its_batch_is_refused(kind):
    seen = bands.masks(kind, 2, 8, 9)
    norm = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(144, track_running_stats=False))
    norm.append(nn.Linear(144, 3))
    for network in (BatchStatistics(0.02), norm):
        with pytest.raises(ValueError, match=r"other (company|images of the pass)"):
            locality.Watched(bands.MaskedNetwork(network, seen).eval()).probe(REAL)
    locality.Watched(bands.MaskedNetwork(BatchStatistics(0), seen).eval()).probe(REAL)


def test_a_network_of_one_image_a_pass_is_probed_too():
    """Its views are the company of each other."""
    seen = bands.masks("blocks", 3, 40, 40)
    network = nn.Sequential(nn.Flatten(), nn.Linear(3200, 3))
    images = torch.rand((2, 1, 40, 40), generator=torch.Generator().manual_seed(2))
    model = bands.MaskedNetwork(network, seen).eval()
    assert images_of_a_pass(model, (1, 40, 40)) == 1
    locality.Watched(model).probe(images)
    mixing = nn.Sequential(nn.Flatten(), nn.Linear(3200, 3), Mixing())
    with pytest.raises(ValueError, match=r"other images of the pass|change with"):
        locality.Watched(bands.MaskedNetwork(mixing, seen).eval()).probe(images)


class Mixing(nn.Module):
    def forward(self, logits):
        return logits - 0.01 * logits.mean(0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("make", [column_network.column_network, residual.residual_columns])
def test_networks_of_the_book_are_local_to_the_last_bit(make, precision):
    for model in (make(SHAPE, 3, 2, 1), residual.folded(make(SHAPE, 3, 2, 1))):
        watched = locality.Watched(model, precision=precision)
        assert watched.probe(REAL)["images"] == "bitwise"
        scores = watched.scores(REAL, np.arange(20))
        assert torch.equal(scores, probabilities(model, REAL, precision))


@pytest.mark.parametrize("steps", [(7, 7), (1, 0), (0, -1), (3, 0), (0, 3), (-1, -1)])
def test_many_positions_are_all_covered(steps):
    """Each of 225 positions reads one pixel that it does not see, far or near: all are found."""
    seen = bands.masks("blocks", 3, 15, 15)
    far = seen.roll(steps[0], 1).roll(steps[1], 2) & ~seen
    images = torch.rand((2, 1, 15, 15), generator=torch.Generator().manual_seed(3))

    class Blocks(BandClassifier):
        positions, leaking = 225, -1

        def forward(self, x):
            shown = (x * seen.float()).sum((2, 3))
            if self.leaking >= 0:
                shown[:, self.leaking] += 0.1 * (x[:, 0] * far[self.leaking]).amax((1, 2))
            return torch.stack((shown, -shown), dim=-1)

        def sees(self, height, width):
            return seen

        def lesson(self, labels, draw):
            raise NotImplementedError

    model = Blocks().eval()
    locality.Watched(model).probe(images)
    for place in range(0, 225, 24):
        model.leaking = place
        with pytest.raises(ValueError, match=f"position {place} change with the pixel"):
            locality.Watched(model).probe(images)


def test_a_model_that_becomes_another_function_is_found_in_the_next_chunk():
    """Local all the time, so that no change outside of a view tells."""
    for late in (17, 30, 45):
        model = Leaks(lambda model, x, late=late: float(model.calls > late) * torch.ones(9, 3))
        watched = locality.Watched(model.eval())
        with pytest.raises(ValueError, match=r"^model"):
            _chunks(watched)


def _chunks(watched):
    watched.probe(REAL)
    for start in range(60):
        watched.scores(REAL[:3], np.arange(start, start + 3))


def test_a_network_of_views_with_a_hook_is_probed_at_every_view():
    for place in range(0, 9, 4):
        model = bands.masked_network(SHAPE, 3, "columns", 2, seed=1)
        pixel = (place + 4) % 9

        def leak(module, given, logits, place=place, pixel=pixel):
            logits[:, place] += 0.01 * given[0][:, 0, :, pixel].mean(1, keepdim=True)
            return logits

        model.register_forward_hook(leak)
        with pytest.raises(ValueError, match=f"position {place} change with"):
            locality.Watched(model).probe(REAL)


def test_a_leak_that_opens_during_the_run_is_found():
    model = Leaks(lambda model, x: (model.calls > 101) * x.mean((1, 2, 3))[:, None, None]).eval()
    watched = locality.Watched(model)
    watched.probe(REAL)

    def run():
        for start in range(200):
            watched.scores(REAL[:3], np.arange(start, start + 3))

    with pytest.raises(ValueError, match="change with the pixel"):
        run()


def test_the_attack_is_on_a_model_that_is_what_it_declares():
    pace = {"steps": 1, "step_size": 0.2, "restarts": 1, "seed": 1}
    with pytest.raises(ValueError, match="change with the pixel"):
        patch_attack.fooled(Leaks(LEAKS["the mean"]).eval(), REAL, 0.5, 1, **pace)
    sound = Leaks(lambda model, x: 0).eval()
    for change, told in (
        ({"steps": -1}, "steps is -1"),
        ({"step_size": 0}, "step_size is 0"),
        ({"restarts": 0}, "restarts is 0"),
        ({"seed": 0.5}, "seed is 0.5"),
    ):
        with pytest.raises(ValueError, match=told):
            patch_attack.fooled(sound, REAL, 0.5, 1, **(pace | change))
    with pytest.raises(ValueError, match="patch is 10: give at most the width"):
        patch_attack.fooled(sound, REAL, 0.5, 10, **pace)
    with pytest.raises(ValueError, match="theta holds NaN"):
        patch_attack.fooled(sound, REAL, float("nan"), 1, **pace)


# The command

MODELS = '''
import torch
from torch import nn
from rs_lib.machines import bands, column_network
from rs_lib.machines.band_classifier import BandClassifier

SHAPE = (1, 8, 8)


def columns(band=1, classes=10):
    return column_network.column_network(SHAPE, classes, band, 1)


def masked(kind="columns", band=1):
    return bands.masked_network(SHAPE, 10, kind, band, 1)


class Says(BandClassifier):
    """A classifier of columns that is not what it says."""

    positions = 8

    def __init__(self, fault):
        super().__init__()
        self.fault, self.inner = fault, columns(8 if fault == "wide" else 1)

    def sees(self, height, width):
        if self.fault == "silent":
            return None
        return bands.masks("columns", 1, height, width)

    def lesson(self, labels, draw):
        raise NotImplementedError

    def forward(self, images):
        logits = self.inner(images)
        return {
            "mean": lambda: logits + 0.01 * images.mean((1, 2, 3))[:, None, None],
            "random": lambda: torch.randn(logits.shape),
            "nine": lambda: torch.cat((logits, logits[:, :1]), dim=1),
            "flat": lambda: logits[:, 0],
            "tuple": lambda: (logits, logits),
            "fails": lambda: logits @ logits,
        }.get(self.fault, lambda: logits)()


def says(fault):
    return Says(fault)


class Random(nn.Module):
    def forward(self, views):
        return torch.randn(len(views), 10)


def random():
    return Random()
'''


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["columns", "band=4"], "model is made for other views: --views columns --band 1"),
        (["columns", "band=1", "--views", "rows"], "--views rows --band 1 "),
        (["masked", "kind=rows"], "model is made for other views"),
        (["masked", "kind=blocks"], "model answers for 64 positions, but there are 8"),
        (["masked", "band=5"], "model is made for other views"),
        (["columns", "classes=2"], "2 logits, but digits has 10"),
        (["says", "fault=wide"], "outside of the view there"),
        (["says", "fault=mean"], "outside of the view there"),
        (["says", "fault=random"], "model draws random numbers"),
        (["says", "fault=nine"], "gives [1, 9, 10] for one image"),
        (["says", "fault=flat"], "gives [1, 10] for one image"),
        (["says", "fault=tuple"], "tuple"),
        (["says", "fault=silent"], "model declares no mask of its views"),
        (["says", "fault=fails"], "model"),
        (["random"], "model draws random numbers"),
    ],
)
def test_the_command_believes_no_classifier(tmp_path, monkeypatch, capsys, arguments, told):
    (tmp_path / "liars.py").write_text(MODELS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [str(tmp_path), *__import__("sys").path])
    monkeypatch.delitem(__import__("sys").modules, "liars", raising=False)
    name, *given = arguments
    options = ["--arguments", *given[:1]] if given else []
    command = ["certify", "--defence", "patch", "--band", "1", "--data", "digits", "--skip", "50"]
    command += ["--model", f"liars:{name}", *options, *given[1:], "--out", "run.tsv"]
    assert command_line.main(command) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
    assert not list(tmp_path.glob("run*"))


class Crowded(BandClassifier):
    """Two logits z and -z of up to 5.25 for a column, moved by the row's place in the pass."""

    positions = 4

    def forward(self, images):
        moved = torch.where(torch.arange(len(images)) < 8, 1.95e-5, -1.95e-5)[:, None]
        z = 5.25 * (50 * (images.mean(dim=(1, 2)) - 0.5)).clamp(-1, 1) + 2e-6 + moved
        return torch.stack((z, -z), dim=-1)

    def sees(self, height, width):
        return bands.masks("columns", 1, height, width)

    def lesson(self, labels, draw):
        raise NotImplementedError


def test_scores_that_move_by_more_than_the_guard_are_refused():
    """The lead of two opposite logits is twice the larger of them, and so is what they move by."""
    image = torch.zeros((1, 1, 4, 4))
    image[:, :, :2] = 1
    draw = torch.Generator().manual_seed(5)
    rows = torch.cat((torch.rand((7, 1, 4, 4), generator=draw), image, image, image))
    with pytest.raises(ValueError, match="more than the guard of the votes"):
        locality.Watched(Crowded().eval()).probe(rows)
