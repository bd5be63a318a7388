"""Metrics per case: segmentation, classification, detection, registration, image quality."""
