"""Where facts are kept: SQL for what is decided and done, Delta tables for what is observed."""
