"""Building blocks of phantoms: dials, draws, shapes, fields, vessels, stains, gels and noise.

A phantom is a module ``common.datasets.<name>`` with ``DIALS``, ``draw`` (the only part that draws
parameters), ``render`` (pure) and ``phantom(n, seed, **dials)``, which returns
:class:`common.datasets.cases.Cases`.
"""
