"""The ledger to numbers: every measure and KPI has one definition here, as SQL over the ledger."""
