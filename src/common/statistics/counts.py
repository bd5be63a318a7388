"""Which whole numbers of cases can stand behind printed rates, spreads and recalls.

A rate printed with four digits is a count over a number of cases, and few numbers of cases can
give twenty such rates at once (the GRIM idea).  The same holds for a mean and a standard
deviation over training runs: the counts of the runs have a whole sum and a whole sum of squares
(GRIMMER), and which pairs of the two exist is known from number theory, so that no search over
the runs' counts is needed.
"""

from common.statistics.rate_counts import (
    Ints as Ints,
    check_denominator as check_denominator,
    class_sizes as class_sizes,
    count_range as count_range,
    denominators as denominators,
    expected_counts as expected_counts,
    whole_numbers as whole_numbers,
)
from common.statistics.run_counts import (
    check_runs as check_runs,
    integers_possible as integers_possible,
    run_counts as run_counts,
    run_denominators as run_denominators,
)
