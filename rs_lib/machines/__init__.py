"""Machines: data, models, noise laws, training, the certification engine and attacks (torch)."""
