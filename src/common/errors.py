"""Errors that a person is meant to read: one sentence on what is wrong, one on the remedy."""


class ReplicateError(Exception):
    """Something the reader can mend; the command line prints it on stderr and exits with 1."""


class UsageError(ReplicateError):
    """A request that cannot be meant: unknown chapter, parameter or profile; exit code 2."""
