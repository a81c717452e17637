"""Fixtures that every test below this directory may use."""
