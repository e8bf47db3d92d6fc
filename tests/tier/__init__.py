"""Tests of the tier service."""
