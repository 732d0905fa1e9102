"""Exact laws of samplers on Gaussian data, the lower bound, and the leading order in 1/K."""
