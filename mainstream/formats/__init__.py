"""File formats: what each file holds, read and written; one format a file."""
