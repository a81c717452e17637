"""Conformance kits: what every plugin of a kind must do, as tests that its author subclasses with fixtures for the real thing."""
