"""Alembic's entry: run the migrations on the connection that `keystore.upgrade` hands over."""

from kms_core.keystore.upgrade import run_migrations

run_migrations()
