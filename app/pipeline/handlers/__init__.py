"""What is done for each route: a handler takes the route and the event and gives the response. One module a route."""
