"""The commands of `python -m rs_lib`: certify, predict, audit, list and run, a module each."""
