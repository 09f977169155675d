// Package killtest holds tests only: a program that embeds a Manager is killed
// with SIGKILL at random moments of a running load and started again, many times
// over. Nothing that it was told is committed may be lost, nothing may be left
// behind, and everything must come to rest.
package killtest
