"""Figures: write gaps, steady cost and REST throughput, measured side by side with Patroni on the same machine."""
