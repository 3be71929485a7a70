"""Randomized smoothing, derived and reproduced: the book's library.

Floors, whose imports only run downwards: mathematics (`statistics`, `certificates`, `audit`),
`noise`, `machines`, `smoothing` (the certification engine), `experiments`, `commands`; beside
them `book`, the record.
"""
