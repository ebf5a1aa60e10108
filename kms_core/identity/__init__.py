"""Who is it? SigV4 verification and the way from an access key id to a `Caller`."""
