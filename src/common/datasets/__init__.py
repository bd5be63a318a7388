"""Readers of real data sets and generators of their phantoms; both return the same thing."""
