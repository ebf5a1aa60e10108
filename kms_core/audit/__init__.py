"""Who used what: CloudTrail-format events in a hash-chained journal."""
