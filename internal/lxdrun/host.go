package lxdrun

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// host is a machine of its own for a daemon, as far as the network goes: a
// namespace with one interface, on a switch that this machine is on as well.
type host struct {
	link    string // the switch's bridge on this machine
	address string // of the host, with its prefix length
	gateway string // this machine's address on the switch
}

// enter runs the daemon inside the namespace, with a /sys that shows it.
const enter = `mkdir -p "$LXD_DIR/.cgroup" && mount --rbind /sys/fs/cgroup "$LXD_DIR/.cgroup" &&
mount -t sysfs sysfs /sys && mount --rbind "$LXD_DIR/.cgroup" /sys/fs/cgroup && umount -l "$LXD_DIR/.cgroup" &&
exec lxd --group root`

// command is the daemon's program.
func (h *host) command(dir string) *exec.Cmd {
	if h == nil {
		return exec.Command("lxd", "--group", "root")
	}
	return exec.Command("nsenter", "--net=/run/netns/"+filepath.Base(dir), "unshare", "--mount", "--propagation", "slave", "sh", "-c", enter)
}

// make makes the host of a daemon. What there is of it is removed with the daemon.
func (h *host) make(d *Daemon) error {
	if h == nil {
		return nil
	}
	namespace, end := filepath.Base(d.Dir), hostEnd(d.Dir)
	d.Address, _, _ = strings.Cut(h.address, "/")
	for _, args := range []string{
		"netns add " + namespace,
		"link add " + end + " type veth peer name eth0 netns " + namespace,
		"link set " + end + " master " + h.link + " up",
		"-n " + namespace + " link set lo up",
		"-n " + namespace + " addr add " + h.address + " dev eth0",
		"-n " + namespace + " link set eth0 up",
		"-n " + namespace + " route add default via " + h.gateway,
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	return nil
}

// hostEnd is the name of the switch's end of a host's cable, 15 bytes at most.
func hostEnd(dir string) string { return "amsv" + strings.TrimPrefix(filepath.Base(dir), prefix) }
