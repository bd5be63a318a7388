"""The chapter on recognising actions in casualty care: inputs, experiments, audit, tables."""
