"""Collectors of bills and usage reports: a module for each vendor, with what its meters mean in CSV files beside it."""
