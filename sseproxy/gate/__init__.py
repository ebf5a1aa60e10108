"""The gate: from the socket to an admitted call, and from its reply back to the socket."""
