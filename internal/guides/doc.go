// Package guides holds tests only: they keep what docs says of the settings, of the
// manifest and of permissions the same as the tables in the code. The tables in
// docs/guides/settings.md, manifest.md and trust.md, and docs/manifest.schema.json, are
// written by
//
//	go test ./internal/guides -update
//
// The text around the tables is written by people, and stays as it is.
package guides
