"""What is a count? Four witnesses, each made by different reasoning."""
