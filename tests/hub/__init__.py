"""A loopback Hub for tests: see `server.hub` for the server and `client.run_client` for the real client."""
