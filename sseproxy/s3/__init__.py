"""S3's vocabulary and operations: names, errors, fields, XML, routes."""
