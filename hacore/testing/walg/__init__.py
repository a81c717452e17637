"""The stand-in for WAL-G: a program of its own that does what the manual of ``wal-g`` says, for tests where no real one is.

No package registry carries the binary, so :mod:`hacore.testing.walg.binary` finds the one that a machine has and else writes this one.
Whoever runs it cannot tell: base backups are real ones, WAL is real WAL, and storage, JSON and exit codes are those of the integrations
reference, section 2. What is its own: compression methods are names (all but ``lzma`` and ``none`` are zlib), encryption only keeps out who
has not the key, a delta carries whole files that have changed, and a backup is made by one process.

It is started for each WAL segment: modules here import little, and what is heavy where it is used.
"""
