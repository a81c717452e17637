"""The names and the JSON of what stands in the store, once for all stores (interface reference 3).

Everything read here was written by somebody else and is not trusted. Nothing here does I/O or knows a store.
"""
