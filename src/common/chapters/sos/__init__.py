"""The chapter on SOS: its inputs, experiment, audit, tables and figures."""
