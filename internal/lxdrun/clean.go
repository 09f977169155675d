package lxdrun

import (
	_ "embed" // for reap.sh
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// reap is the program that removes a daemon: at its end, after its owner's
// death, and in a sweep.
//
//go:embed reap.sh
var reap string

// reaper returns the command that removes what belongs to the daemon of dir,
// once its standard input ends.
func reaper(dir string) *exec.Cmd {
	bridge := "amsb" + strings.TrimPrefix(filepath.Base(dir), prefix)
	cmd := exec.Command("sh", "-c", reap, "reap", dir, bridge, filepath.Base(dir))
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin"}
	// Out of reach of signals to the owner's process group.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// watch starts the watcher: a reaper whose input ends with this process, or when
// the leash is closed.
func (d *Daemon) watch() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	d.leash, d.watcher = w, reaper(d.Dir)
	d.watcher.Stdin = r
	return errors.Join(d.watcher.Start(), r.Close())
}

// remove lets the watcher clean up, and says what it did not manage.
func (d *Daemon) remove() error {
	err := d.leash.Close()
	d.leash = nil
	_ = d.watcher.Wait() // what counts is what is left
	if _, statErr := os.Stat(d.Dir); statErr == nil {
		if out, runErr := reaper(d.Dir).CombinedOutput(); runErr != nil {
			err = errors.Join(err, fmt.Errorf("removing %s: %w: %s", d.Dir, runErr, out))
		}
	}
	if _, ifErr := net.InterfaceByName(d.Bridge); ifErr == nil {
		err = errors.Join(err, fmt.Errorf("bridge %s is left", d.Bridge))
	}
	return err
}

// sweep removes the daemons whose owners have died. What it cannot remove stays
// for the next sweep.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(tempDir, prefix+"*"))
	for _, dir := range dirs {
		owner, err := os.ReadFile(filepath.Join(dir, "owner"))
		if err == nil {
			pid, started, _ := strings.Cut(strings.TrimSpace(string(owner)), " ")
			if started != "" && startTime(pid) == started {
				continue
			}
		}
		// A watcher may be at work on it; its steps bear being done twice.
		_ = reaper(dir).Run()
	}
}

// startTime returns when the process started, in the kernel's clock ticks: with
// the pid it names a process for good. It is empty if there is none.
func startTime(pid string) string {
	b, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return ""
	}
	// The second field, a name in parentheses, may contain anything.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(fields) < 20 {
		return ""
	}
	return fields[19]
}

// freeSubnet picks a random 10.x.y.0/20 that no interface of this machine uses
// and returns the bridge's address in it.
func freeSubnet() (string, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	deadline := time.Now().Add(time.Second)
next:
	for time.Now().Before(deadline) {
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(16 + rand.IntN(224)), byte(rand.IntN(16) * 16), 1}), 20)
		for _, a := range addrs {
			used, err := netip.ParsePrefix(a.String())
			if err == nil && used.Overlaps(p.Masked()) {
				continue next
			}
		}
		return p.String(), nil
	}
	return "", errors.New("no free 10.x.y.0/20 subnet on this machine")
}
