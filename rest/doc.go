// Package rest serves a Manager over HTTP, as clients of AMS know it: endpoints,
// operations, events, commands in instances, uploads and downloads.
//
//	h := rest.NewHandler(m, rest.Options{})
//	err := h.Server().Serve(listener)
//
// One table, Routes, says of each endpoint what it takes, what it answers and who may
// use it; the OpenAPI document is made of it. Every answer but a file is an
// api.Reply. Where a request fails, its HTTP status goes with the ams.Code, and
// Metadata of the reply has the code itself.
package rest
