"""S3's operations, one file per noun. Only the gate calls them, after it has authenticated, bound and authorized."""
