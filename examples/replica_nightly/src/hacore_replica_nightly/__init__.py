"""Standbys made of last night's backup: an example of a plugin for one site."""
