"""What `make torture` does to the commands: signals at random moments."""
