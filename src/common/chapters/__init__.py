"""What single chapters compute that is too long for a cell.

These modules stand at the end of the flow, like the notebooks that they serve: nothing else in
``common`` imports them.
"""
