"""Cryptography of the key service: secrets, the root of trust, key material, the ciphertext blob."""
