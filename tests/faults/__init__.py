"""What must survive: real servers and real worker processes, broken on purpose, then everything checked."""
