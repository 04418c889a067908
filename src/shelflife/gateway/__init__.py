"""The gateway: answers requests by the routes of each system, and logs every answer before it is given."""
