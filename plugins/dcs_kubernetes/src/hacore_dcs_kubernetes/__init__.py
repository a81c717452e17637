"""The store of hacore in the objects of a Kubernetes cluster, spoken to through its API servers."""
