"""Benchmarks: hacore beside Patroni from PyPI, in one run on one machine with the same settings; `make bench` runs `python -m bench`."""
