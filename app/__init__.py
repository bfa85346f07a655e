"""Numbers to people: the command line, the server, and the pages."""
