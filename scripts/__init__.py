"""The set-up: one module per thing that has to be there, run by the system's own Python."""
