"""Certificates of randomized smoothing, one noise law a module, and the lemma they rest on.

`gaussian`, `uniform` and `laplace` give robust radii and the smallest class probability after
a shift, in closed form and rounded so that the float never claims more than exact arithmetic.
`neyman_pearson` solves the finite problem exactly and serves as their check.
"""
