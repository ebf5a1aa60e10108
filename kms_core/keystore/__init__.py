"""The control database and the exact in-memory picture of it that decisions are made on."""
