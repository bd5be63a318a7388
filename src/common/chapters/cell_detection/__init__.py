"""The chapter on cell detection across scanners."""
