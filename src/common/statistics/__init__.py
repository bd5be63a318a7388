"""Statistics for comparing methods on medical images: tests, intervals, ranking, power, audits of
published numbers, and verdicts on declared claims.

Every function takes arrays and gives numbers; none reads a file or keeps a state, and whatever is
random takes an explicit ``numpy.random.Generator``.  An effect is always first minus second, in
the unit of the values.
"""
