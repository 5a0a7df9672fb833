"""The box over HTTP: what it does as JSON, changes by who has the token, and a page."""
