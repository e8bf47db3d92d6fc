"""Measurements beside a floor and beside a plain worker."""
