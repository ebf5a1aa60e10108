"""What a real S3 server under test is to the tests: an address and one identity."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

ACCESS_KEY_ID = "AKIABACKENDBACKEND00"
SECRET = "backend/secret/backend/secret/backend/se"
REGION = "us-east-1"


@dataclass(frozen=True)
class Backend:
    """A running S3 server."""

    name: str
    endpoint: str
    access_key_id: str = ACCESS_KEY_ID
    secret: str = SECRET

    def client(self) -> Any:
        """A boto3 client that shows each answer as it is."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret,
            config=Config(retries={"max_attempts": 0}, s3={"addressing_style": "path"}),
        )
