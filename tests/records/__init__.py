"""Tests of the records service."""
