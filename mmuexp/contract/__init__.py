"""What every strategy must keep, whoever wrote it, and the short traces that it is tried on."""
