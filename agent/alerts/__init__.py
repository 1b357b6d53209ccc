"""Who is told of what fails: rules (pure) -> incidents and pages (durable, in the ledger) -> channels."""
