"""Are the statistics right as a whole?  Simulated studies in which the truth is known.

``python -m common.validation`` runs all tests on them and archives what it found.
"""
