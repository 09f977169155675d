// Package api has the types of the REST interface, as JSON carries them: what
// package rest answers and package client reads. The names and shapes are a
// contract with clients that exist; see docs/guides/rest.md for the endpoints.
//
// Times are whole seconds since 1970 in UTC, but in operations and events, where
// they are in RFC 3339. Sizes are bytes where the type is int64, and text such as
// "3GB" where it is string. A pointer that is nil was not given. Unknown fields are
// to be ignored.
package api
