"""Tests: rules without I/O, SQL on a real PostgreSQL, messages on a real Apache Kafka."""
