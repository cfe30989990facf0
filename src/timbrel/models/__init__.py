"""Shipped weights, a folder each."""
