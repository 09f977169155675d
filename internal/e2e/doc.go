// Package e2e holds the tests of the whole: a Manager with storage/sqlite,
// backend/lxd and guest/android on a real LXD, and the example application.
package e2e
