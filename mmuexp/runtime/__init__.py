"""What a run owes the machine that it is on: signals, threads, temporary files, and the folders it may write to."""
