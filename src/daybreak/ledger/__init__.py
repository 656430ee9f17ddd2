"""What was asked for and what was done: the inbox of requests, the ledger of steps."""
