"""`dms demo`: the main job from nothing to a benchmarked artifact, on a cluster that it brings up itself."""
