"""The HEp-2 chapter: its experiment, its study of the released predictions, its audit."""
