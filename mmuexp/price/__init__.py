"""What a count costs on a host, who wins, and until which price."""
