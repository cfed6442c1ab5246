"""How directions are estimated: one method a file."""
