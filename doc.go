// Package ams runs Android applications at high density on LXD.
package ams
