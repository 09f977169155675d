// Package arch holds tests only: the rules that the shape of this module's code
// follows. Golden files are rewritten with
//
//	go test ./internal/arch -update
package arch
