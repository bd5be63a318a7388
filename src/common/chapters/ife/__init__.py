"""The chapter on gels of serum proteins: decompose and fuse, attention over height."""
