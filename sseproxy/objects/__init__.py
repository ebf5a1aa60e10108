"""Objects: plaintext on this side, a sealed body at the store on the other."""
