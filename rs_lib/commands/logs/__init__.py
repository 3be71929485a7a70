"""Logs of certify, predict and patches: rows that follow from counts, and files that only grow."""
