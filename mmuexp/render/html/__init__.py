"""Results as pages that need no server and no network."""
