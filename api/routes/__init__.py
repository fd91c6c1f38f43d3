"""The service's own routes. Each handler takes the service and a request, and returns an answer."""
