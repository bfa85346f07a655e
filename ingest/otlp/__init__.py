"""OTLP bodies to spans, and spans to provider calls counted once."""
