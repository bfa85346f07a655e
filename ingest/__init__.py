"""Sources to rows: collectors read files and OTLP bodies and commit them to the ledger."""
