"""The ToFi-ML chapter: fingerprints of many images, its experiments, its audit, its pictures."""
