"""The commands of `python -m rs_lib`: certify, predict, audit, and those of the experiments."""
