"""Records in a third of the space, for archives that would grow too large for the repository."""

from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from common import records as records_module
from common.records import COLUMNS

# tried in this order; both are far below the spread of what is measured
DIGITS = (4, 3)


def write(records: pd.DataFrame, path: Path, *, digits: int = DIGITS[0]) -> Path:
    """Write records with values to a few significant digits.

    Rows are sorted so that equal texts stand together, and cases are stored as texts, whose
    repetition compresses better than that of their numbers in a dictionary.

    Args:
        records: see :func:`common.records.check`.
        path: the file to write, in an existing folder.
        digits: significant digits that a value keeps.
    """
    order = ["metric", "group", "arm", "seed", "fold", "case"]
    table = records_module.check(records).sort_values(order, kind="stable").reset_index(drop=True)
    table["value"] = [float(f"{value:.{digits}g}") for value in table["value"]]
    own = ("case", "cluster")
    pq.write_table(
        pa.Table.from_pandas(table.astype(dict.fromkeys(own, str)), preserve_index=False),
        path,
        compression="zstd",
        compression_level=19,
        use_dictionary=[name for name in COLUMNS if name not in own],
        row_group_size=1 << 22,
        data_page_size=1 << 26,
    )
    return path
