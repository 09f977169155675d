package ams

// BadManifests are manifests that must be refused.
var BadManifests = badManifests
