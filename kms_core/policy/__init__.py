"""Policies: a document is compiled once into statements; a decision is a pure function of those and a request."""
