"""The thin shared package of the paper-replication book.

Data flow through the modules in one direction: manifests, datasets, models and training,
metrics, records, statistics, figures, site.
"""
