"""The deliverability report: queries -> figures -> what people read. Every figure comes from the ledger's rows."""
