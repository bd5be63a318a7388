"""Sweeps: many runs of one chapter over a grid, a list or a random draw of points, and seeds.

:mod:`~common.runs.sweeps.request` is what is asked for, :mod:`~common.runs.sweeps.points` turns
it into checked plans, :mod:`~common.runs.sweeps.spec` remembers the sweep, and
:mod:`~common.runs.sweeps.collect` gathers what its runs found.
"""
