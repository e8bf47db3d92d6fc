"""The demo: real servers, real workers, made-up traffic."""
