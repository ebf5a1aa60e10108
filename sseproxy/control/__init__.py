"""Control state of the proxy, in our own database and never at a backend: bucket settings, uploads in progress."""
