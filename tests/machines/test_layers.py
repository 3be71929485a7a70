"""Layers that are faster on a CPU give what torch's do."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, max_pool2d

from rs_lib.machines import models
from rs_lib.machines.layers import FirstConvolution, Pool


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("shape", [(3, 5, 8, 8), (2, 1, 7, 9), (1, 4, 2, 3), (0, 4, 6, 6)])
@pytest.mark.parametrize("form", [torch.channels_last, torch.contiguous_format])
def test_pooling_is_torchs_to_the_last_bit(dtype, shape, form):
    draw = torch.Generator().manual_seed(1)
    # Few values, so that there are ties.
    images = torch.randint(-3, 4, shape, generator=draw).to(dtype).contiguous(memory_format=form)
    images = images + torch.rand(shape, generator=draw).round().to(dtype) / 3
    wanted = max_pool2d(images, 2)
    with torch.inference_mode():
        assert torch.equal(Pool()(images), wanted)
    broken = images.clone()
    broken.flatten()[::5] = torch.nan
    with torch.no_grad():
        assert torch.equal(Pool()(broken).isnan(), max_pool2d(broken, 2).isnan())


def test_pooling_has_torchs_gradient():
    draw = torch.Generator().manual_seed(2)
    images = torch.randint(3, (2, 3, 6, 6), generator=draw).float().requires_grad_()
    slopes = torch.rand((2, 3, 3, 3), generator=draw)
    (found,) = torch.autograd.grad(Pool()(images), images, slopes)
    (wanted,) = torch.autograd.grad(max_pool2d(images, 2), images, slopes)
    assert torch.equal(found, wanted)


@pytest.mark.parametrize("count", [1, 32, 45])
@pytest.mark.parametrize(("channels", "size", "side"), [(1, (28, 28), 5), (3, (9, 7), 3)])
@pytest.mark.parametrize("weights", [False, True])
def test_the_gradients_of_the_first_convolution_are_torchs(count, channels, size, side, weights):
    draw = torch.Generator().manual_seed(3)
    layer = FirstConvolution(channels, 20, side).double()
    layer = layer.to(memory_format=torch.channels_last).requires_grad_(weights)
    images = torch.rand((count, channels, *size), generator=draw).double().requires_grad_()
    made = layer(images)
    assert torch.equal(made, conv2d(images, layer.weight, layer.bias))
    slopes = torch.rand(made.shape, generator=draw).double()
    asked = [images, *layer.parameters()] if weights else [images]
    found = torch.autograd.grad(made, asked, slopes)
    wanted = torch.autograd.grad(conv2d(images, layer.weight, layer.bias), asked, slopes)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_a_networks_gradient_is_that_of_torchs_layers():
    draw = torch.Generator().manual_seed(4)
    network = models.build("lenet", (1, 28, 28), 10, 0)
    plain = nn.Sequential(
        *(
            {FirstConvolution: nn.Conv2d(1, 20, 5), Pool: nn.MaxPool2d(2)}.get(type(layer), layer)
            for layer in network
        )
    )
    plain.to(memory_format=torch.channels_last).load_state_dict(network.state_dict())
    images = torch.rand((40, 1, 28, 28), generator=draw).requires_grad_()
    logits = [model(images) for model in (network, plain)]
    assert torch.equal(*logits)
    slopes = torch.rand(logits[0].shape, generator=draw)
    found, wanted = (torch.autograd.grad(made, images, slopes)[0] for made in logits)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    assert wanted.abs().max() > 0.01
