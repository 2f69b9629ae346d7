"""The commands, a module each: its docstring is its help."""
