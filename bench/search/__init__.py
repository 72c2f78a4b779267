"""The benchmark of the search: worlds of known truth, peers, and the report (bench/README.md)."""
