"""Randomized smoothing, derived and reproduced: the book's library.

Floors, whose imports only run downwards: mathematics (`statistics`, `certificates`, `audit`),
`noise`, `machines`, `smoothing` (the certification engine), `experiments`, `commands`; below them
`record` (what a run is, and when it is stale), beside them `book`.
"""
