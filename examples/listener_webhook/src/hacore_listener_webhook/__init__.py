"""A web service that is told of changes of the primary: an example of a plugin for one site."""
