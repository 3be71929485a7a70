"""The commands: certify, predict, those that read logs, and those of the experiments."""
