"""What several tests need: traces, commands, replays, recordings, a browser."""
