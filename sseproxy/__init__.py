"""An S3 endpoint that encrypts every object and asks a key service, on every read, whether this caller may decrypt."""
