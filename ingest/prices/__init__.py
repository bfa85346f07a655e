"""The price book: what a million tokens cost, from packaged lists and from the user's own file."""
