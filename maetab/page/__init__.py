"""One HTML page on a table: its columns, what is missing, how it fills, strange rows, methods."""
