// Package lxdrun runs private LXD daemons for tests, benchmarks and the demo.
//
// A daemon has its own directory, bridge and storage pool, and is independent of
// any other LXD on the machine. Nothing of it outlives the process that started
// it: a watcher notices when that process is gone, however it ended, and removes
// the daemon, its instances, its bridge and its directory. What a watcher could
// not remove, the next Start does.
//
// It needs root, and the packages lxd, lxd-client (or one LXD that has both
// programs), dnsmasq-base and iptables; BuildImage needs busybox-static.
package lxdrun
