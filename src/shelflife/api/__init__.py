"""HTTP: thin routes over the composition root, one shape of error, an OpenAPI description of all."""
