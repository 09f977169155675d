package lxdrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	tempDir = "/tmp" // short: socket paths below it must fit in 107 bytes
	prefix  = "amslxd-"
)

// Options are what a daemon can be told. The zero value is good.
type Options struct {
	// Preseed replaces the preseed document that gives the daemon its bridge,
	// pool and default profile. In it, @BRIDGE@, @SUBNET@ and @POOL@ stand for
	// the bridge's name, its address with prefix length, and the pool section.
	Preseed string
	// BtrfsGiB, if not 0, makes the pool a btrfs one of that many gibibytes in a
	// file; otherwise it is of the driver dir.
	BtrfsGiB int

	host *host // the machine of its own that it runs on; nil is this one
}

// Daemon is a private LXD daemon. Its methods are not safe for concurrent use.
type Daemon struct {
	Dir    string // LXD_DIR of the daemon; its log is the file log in it
	Socket string // path of its unix socket
	Bridge string // name of its bridge, 15 bytes at most
	Subnet string // address and prefix length of the bridge, "10.x.y.1/20"
	// Address is where a member of a cluster listens, "10.x.y.z"; its port is 8443.
	Address string

	opts    Options
	cmd     *exec.Cmd
	done    chan struct{} // closed when cmd has ended
	ended   bool          // by a method of ours
	watcher *exec.Cmd
	leash   *os.File // the watcher cleans up when this is closed
}

// Missing tells what this machine lacks to run a daemon, in one line; it is
// empty if nothing is missing.
func Missing() string {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, name := range []string{"lxd", "lxc", "dnsmasq", "iptables", "sh", "setsid"} {
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, name)
		}
	}
	if path, _ := exec.LookPath("lxd"); strings.HasPrefix(path, "/snap/") {
		missing = append(missing, "an LXD that is not the snap's: that one only ever is the one daemon of the machine")
	}
	return strings.Join(missing, ", ")
}

// Start runs a new daemon, waits until it answers, and gives it a storage pool
// "default", a bridge, and a default profile with the devices root and eth0. It
// first removes what is left of daemons whose owners have died. It takes about
// two seconds. The caller must Stop the daemon; if the caller's process ends
// without doing so, the daemon is removed all the same.
func Start(ctx context.Context, opts Options) (*Daemon, error) {
	if m := Missing(); m != "" {
		return nil, fmt.Errorf("cannot run LXD here: missing %s", m)
	}
	unlock, err := lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	sweep()
	d, err := prepare(opts)
	if err != nil {
		return nil, err
	}
	if err := d.start(ctx); err != nil {
		return nil, errors.Join(err, d.remove())
	}
	if err := d.preseed(ctx); err != nil {
		return nil, errors.Join(err, d.Stop(context.WithoutCancel(ctx)))
	}
	return d, nil
}

// prepare makes the directory of a new daemon and starts its watcher.
func prepare(opts Options) (*Daemon, error) {
	dir, err := os.MkdirTemp(tempDir, prefix)
	if err != nil {
		return nil, err
	}
	d := &Daemon{
		Dir:    dir,
		Socket: filepath.Join(dir, "unix.socket"),
		Bridge: "amsb" + strings.TrimPrefix(filepath.Base(dir), prefix),
		opts:   opts,
	}
	err = func() error {
		pid := strconv.Itoa(os.Getpid())
		own := func() error {
			return os.WriteFile(filepath.Join(dir, "owner"), []byte(pid+" "+startTime(pid)+"\n"), 0o600)
		}
		// Below the mount too, for whoever sees another set of mounts.
		if err := errors.Join(own(), mountMemory(dir), own()); err != nil {
			return err
		}
		if d.Subnet, err = freeSubnet(); err != nil {
			return err
		}
		if err := d.watch(); err != nil {
			return err
		}
		return opts.host.make(d)
	}()
	switch {
	case err == nil:
		return d, nil
	case d.leash == nil:
		return nil, errors.Join(err, os.RemoveAll(dir))
	default:
		return nil, errors.Join(err, d.remove())
	}
}

// mountMemory has the files below dir kept in memory. LXD waits for the disk at each
// step, and a disk that others write much to has made it wait for minutes. What is
// killed here is processes, so nothing is lost by it.
func mountMemory(dir string) error {
	// Instances' users pass through.
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=711,size=60%"); err != nil {
		return fmt.Errorf("mounting memory at %s: %w", dir, err)
	}
	return nil
}

// start runs the daemon's program and waits until it answers.
func (d *Daemon) start(ctx context.Context) error {
	logfile, err := os.OpenFile(filepath.Join(d.Dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer logfile.Close() //nolint:errcheck // the child has its own descriptor
	d.cmd = d.opts.host.command(d.Dir)
	d.cmd.Env = d.Env()
	d.cmd.Stdout, d.cmd.Stderr = logfile, logfile
	// A session of its own: ^C at a terminal is for the owner, who then stops it.
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := d.cmd.Start(); err != nil {
		return err
	}
	cmd, done := d.cmd, make(chan struct{})
	d.done, d.ended = done, false
	go func() {
		_ = cmd.Wait() // how it ended is of no interest
		close(done)
	}()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-done:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := d.run(ctx, nil, "lxd", "waitready", "--timeout=60"); err != nil {
		return fmt.Errorf("LXD does not come up: %w; the end of its log: %s", err, d.logTail())
	}
	return nil
}

// Env is the environment that makes lxc and other LXD programs talk to the
// daemon.
func (d *Daemon) Env() []string {
	env := []string{"LXD_DIR=" + d.Dir, "LXD_CONF=" + filepath.Join(d.Dir, "client")}
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "LXD_") {
			env = append(env, kv)
		}
	}
	return env
}

// Kill kills the daemon as a crash would: its instances keep running. It does
// nothing if the daemon does not run.
func (d *Daemon) Kill() error {
	return d.end(syscall.SIGKILL, 10*time.Second)
}

// Restart ends the daemon if it runs, starts it again on the same directory, and
// waits until it answers. Instances keep running meanwhile.
func (d *Daemon) Restart(ctx context.Context) error {
	if err := d.end(syscall.SIGTERM, 20*time.Second); err != nil {
		return err
	}
	return d.start(ctx)
}

// Stop stops the instances and the daemon, and removes everything that belongs
// to it: processes, bridge, mounts and directory. If the daemon does not shut
// down within 20 seconds, or before ctx ends, it is killed. Stop may be called
// again. The error tells what is left.
func (d *Daemon) Stop(ctx context.Context) error {
	if d.leash == nil {
		return nil
	}
	if d.running() {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		d.ended = true
		_ = d.run(ctx, nil, "lxd", "shutdown", "--force", "--timeout=20") // else it is killed below
		cancel()
	}
	return errors.Join(d.end(syscall.SIGTERM, time.Second), d.remove())
}

// end sends the daemon a signal and waits until it has ended; after the given
// time it kills it.
func (d *Daemon) end(sig syscall.Signal, wait time.Duration) error {
	if !d.running() {
		return nil
	}
	d.ended = true
	_ = d.cmd.Process.Signal(sig) // it may have ended just now
	select {
	case <-d.done:
		return nil
	case <-time.After(wait):
		if sig != syscall.SIGKILL {
			return d.end(syscall.SIGKILL, 10*time.Second)
		}
		return fmt.Errorf("LXD, process %d, does not end", d.cmd.Process.Pid)
	}
}

// running reports whether the daemon's process has not ended.
func (d *Daemon) running() bool {
	if d.done == nil {
		return false
	}
	select {
	case <-d.done:
		return false
	default:
		return true
	}
}

// Died says why the daemon has ended though nobody ended it: its log from where it
// tells of its fault on, or the end of its log. It is empty if the daemon runs, or
// was ended by a method of d.
func (d *Daemon) Died() string {
	if d.ended || d.running() {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(d.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	for _, fault := range []string{"\npanic: ", "\nfatal error: "} {
		if i := bytes.LastIndex(b, []byte(fault)); i >= 0 {
			return string(b[i:min(i+4000, len(b))])
		}
	}
	return string(b[max(0, len(b)-4000):])
}

// Trouble is what the daemon and its instances wrote of errors, 4,000 bytes of each
// log at most, the newest last.
func (d *Daemon) Trouble() string {
	var out bytes.Buffer
	logs, _ := filepath.Glob(filepath.Join(d.Dir, "logs", "*", "lxc.log"))
	for _, name := range append(logs, filepath.Join(d.Dir, "log")) {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it went with its instance
		}
		var found []byte
		for line := range bytes.Lines(b) {
			if bytes.Contains(line, []byte("lxc_cmd_rsp_recv_fds")) || bytes.Contains(line, []byte("recv_fds_iov")) {
				continue // an instance that ended just when it was asked
			}
			if bytes.Contains(line, []byte("ERROR")) || bytes.Contains(line, []byte("level=error")) || bytes.Contains(line, []byte("level=warning")) {
				found = append(found, line...)
			}
		}
		if len(found) > 0 {
			fmt.Fprintf(&out, "%s:\n%s\n", strings.TrimPrefix(name, d.Dir+"/"), found[max(0, len(found)-4000):])
		}
	}
	return out.String()
}

// run runs a program against the daemon; the error contains what it printed.
func (d *Daemon) run(ctx context.Context, stdin io.Reader, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	var out bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = d.Env(), stdin, &out, &out
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// logTail returns the end of the daemon's log.
func (d *Daemon) logTail() string {
	b, err := os.ReadFile(filepath.Join(d.Dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// lock makes Starts of all processes take turns, so that two never choose the
// same subnet and none sweeps what another is just making. The lock is a name in
// the abstract socket namespace: the kernel frees it when its owner dies.
func lock(ctx context.Context) (unlock func(), err error) {
	for {
		l, err := net.Listen("unix", "@"+prefix+"lock")
		if err == nil {
			return func() { _ = l.Close() }, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for another LXD to start: %w", ctx.Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}
