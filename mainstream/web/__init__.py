"""The box over HTTP: what it does as JSON, changes by those who have the token, and a page."""
