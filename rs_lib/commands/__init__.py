"""The commands of `rs-lib`: certify, predict, those that read logs, and the experiments'."""
