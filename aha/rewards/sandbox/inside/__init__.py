"""What runs inside the sandbox: standard library only, started without the rest of `aha`."""
