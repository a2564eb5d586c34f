"""What runs beside a tested program, inside the sandbox: standard library only."""
