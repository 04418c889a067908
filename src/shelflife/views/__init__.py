"""What people see, as typed values: one module a subject, no HTML and no HTTP."""
