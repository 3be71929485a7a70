"""A training loop as you may have one: python train.py FILE SIGMA; SIGMA 0 adds no noise."""

import sys

import images
import models
import torch
from torch.nn.functional import cross_entropy

file, sigma = sys.argv[1], float(sys.argv[2])
pixels, labels = (torch.from_numpy(array) for array in images.train())
torch.manual_seed(0)
model = models.network()
optimiser = torch.optim.Adam(model.parameters(), lr=2e-3)
for _ in range(15):
    for rows in torch.randperm(len(labels)).split(64):
        batch = pixels[rows] / 255  # in [0, 1]
        batch = batch + sigma * torch.randn_like(batch)  # fresh noise in every batch
        loss = cross_entropy(model(batch), labels[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
torch.save(model.state_dict(), file)
print(f"{file}: the weights, last loss {loss.item():.3f}")
