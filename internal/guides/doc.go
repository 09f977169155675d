// Package guides holds tests only: they keep what docs says of the settings and of
// the manifest the same as the tables in the code. The tables in docs/guides/settings.md
// and docs/guides/manifest.md, and docs/manifest.schema.json, are written by
//
//	go test ./internal/guides -update
//
// The text around the tables is written by people, and stays as it is.
package guides
