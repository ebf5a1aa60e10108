"""Where ciphertext rests: one contract, and the stores that keep it."""
