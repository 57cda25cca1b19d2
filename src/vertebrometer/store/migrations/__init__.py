"""Versions of the store's schema, for Alembic."""
