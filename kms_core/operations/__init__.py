"""The operations: a row each, one file per noun. Only `kms_core.service` calls them, after it has authorized."""
