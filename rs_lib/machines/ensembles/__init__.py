"""Ensembles of small models, each trained on its own noisy copy of a training set."""

from rs_lib.machines.ensembles.closed_form import NaiveBayes, NearestNeighbour, Ridge
from rs_lib.machines.ensembles.networks import Network, multilayer_perceptron
from rs_lib.machines.ensembles.noisy_data import NoisyData
from rs_lib.machines.ensembles.votes import vote, votes_in_chunks

__all__ = [
    "NaiveBayes",
    "NearestNeighbour",
    "Network",
    "NoisyData",
    "Ridge",
    "multilayer_perceptron",
    "vote",
    "votes_in_chunks",
]
