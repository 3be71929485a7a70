"""Randomized smoothing, derived and reproduced: the book's library.

Four floors, whose imports only run downwards: mathematics (`statistics`,
`certificates`), `machines`, `experiments`, and beside them `book`, the record.
"""
