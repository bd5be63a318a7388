"""The skin-bss chapter: its experiment, its exclusion study, its audit, its tables."""
