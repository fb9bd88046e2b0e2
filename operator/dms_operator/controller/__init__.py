"""The operator: watches deployments, plans purely, and acts at the edges."""
