"""The commands of `python -m rs_lib`: certify, predict, those that read logs, and those of the experiments."""
