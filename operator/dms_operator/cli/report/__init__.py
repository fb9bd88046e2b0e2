"""`dms report`: everything that is known about a deployment on one page that needs no network."""
