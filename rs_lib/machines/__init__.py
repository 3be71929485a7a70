"""Machines (torch): data, networks, training, ensembles, views of bands, and attacks."""
