"""The FocalMix chapter: its scans, its experiment, its tables and its audit."""
