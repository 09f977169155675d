package android_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
	"github.com/openams/ams/internal/lxdtest"
)

// apt is a stand-in for apt-get and unattended-upgrade. It records how it was
// called, and of an update the sources it was given.
const apt = `#!/bin/sh
me=${0##*/}
echo "$me $* $DEBIAN_FRONTEND" >>"$AMS_GUEST_ROOT/apt"
case $me-$APT_SAYS in
apt-get-*\ *) [ "$2" = update ] || exit 0; echo "$APT_SAYS"; exit "${APT_CODE:-0}" ;;
unattended-upgrade-*\ *) echo "$APT_SAYS"; exit "${APT_CODE:-0}" ;;
*-hang) while :; do setsid sleep 1000; done ;;
esac
[ "$2" = update ] || exit 0
dir=$(sed -n 's/^Dir::Etc::SourceParts "\(.*\)";/\1/p' "$APT_CONFIG")
for f in "$dir/../sources.list" "$dir"/*; do
	[ -f "$f" ] || continue
	echo "== ${f##*/}" && cat "$f"
done >>"$AMS_GUEST_ROOT/sources"
`

const (
	sourcesList = `# See man sources.list
deb http://archive.ubuntu.com/ubuntu jammy main universe
deb http://archive.ubuntu.com/ubuntu jammy-updates main universe
deb	[ arch=amd64 signed-by=/k.gpg ] http://security.ubuntu.com/ubuntu/ jammy-security main universe
 deb https://de.archive.ubuntu.com:8080/ubuntu jammy-security multiverse # the country's
# deb http://archive.ubuntu.com/ubuntu jammy-security restricted
deb-src http://security.ubuntu.com/ubuntu jammy-security main
deb http://ports.ubuntu.com/ubuntu-ports jammy-security main
deb http://archive.ubuntu.com.example.org/my-security jammy main
deb http://ppa.example.org/team jammy-security main
`
	ubuntuSources = `# One stanza for all.
Types: deb
URIs: http://archive.ubuntu.com/ubuntu/ http://other.example.org/
Suites: noble noble-security
# a comment inside
 noble-updates
 more-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 AAAA-security

Types: deb
URIs: http://archive.ubuntu.com/ubuntu/
Suites: noble-updates
Components: main

suites: noble-security
types: deb
uris: http://security.ubuntu.com/ubuntu/
`
)

func TestSecurityUpdates(t *testing.T) {
	tests := map[string]struct{ mirror, one, two, ports, all, last string }{
		"none": {
			one: "http://security.ubuntu.com/ubuntu/", two: "https://de.archive.ubuntu.com:8080/ubuntu",
			ports: "http://ports.ubuntu.com/ubuntu-ports",
			all:   "http://archive.ubuntu.com/ubuntu/", last: "http://security.ubuntu.com/ubuntu/",
		},
		"whole address": {
			mirror: "https://m.example.org/pub/ubuntu/", one: "https://m.example.org/pub/ubuntu", two: "https://m.example.org/pub/ubuntu",
			ports: "https://m.example.org/pub/ubuntu", all: "https://m.example.org/pub/ubuntu", last: "https://m.example.org/pub/ubuntu",
		},
		"host": {
			mirror: "http://[::1]:3142/", one: "http://[::1]:3142/ubuntu/", two: "http://[::1]:3142/ubuntu",
			ports: "http://[::1]:3142/ubuntu-ports", all: "http://[::1]:3142/ubuntu/", last: "http://[::1]:3142/ubuntu/",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			onShells(t, func(t *testing.T, m *machine) {
				m.apt()
				m.mirror = &test.mirror
				m.write("etc/apt/sources.list", 0o644, sourcesList)
				m.write("etc/apt/sources.list.d/ubuntu.sources", 0o644, ubuntuSources)
				m.write("etc/apt/sources.list.d/old.list.save", 0o644, sourcesList)
				m.addons = []ams.GuestAddon{{Name: "one", Write: packageOf(map[string]member{"x": {0o644, "x"}})}}
				require.NoError(t, m.run(ams.PhaseBootstrap, application(), map[string]member{}))
				require.Equal(t, []string{"network: 0", "security updates: 0", "addon one: 0"}, m.steps[:3])
				require.Equal(t, "apt-get -q update noninteractive\napt-get -q -y upgrade noninteractive\n", m.read("apt"))
				require.Equal(t, "== sources.list\n"+
					"deb	[ arch=amd64 signed-by=/k.gpg ] "+test.one+" jammy-security main universe\n"+
					" deb "+test.two+" jammy-security multiverse # the country's\n"+
					"deb "+test.ports+" jammy-security main\n"+
					"deb http://ppa.example.org/team jammy-security main\n"+
					"== ubuntu.sources\n"+
					"Types: deb\n"+
					"URIs: "+test.all+" http://other.example.org/\n"+
					"Components: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n AAAA-security\n"+
					"Suites: noble-security more-security\n\n"+
					"types: deb\nuris: "+test.last+"\nSuites: noble-security\n\n", m.read("sources"))
				require.Equal(t, sourcesList, m.read("etc/apt/sources.list"), "the image's own sources")
				require.Equal(t, ubuntuSources, m.read("etc/apt/sources.list.d/ubuntu.sources"))
				require.NoDirExists(t, filepath.Join(m.root, "var/lib/anbox/.ams"))
			})
		})
	}
}

// An image that has the program for it decides itself what a security update is.
func TestUnattendedUpgrade(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.apt()
		m.write("bin/unattended-upgrade", 0o755, apt)
		m.mirror = new(string)
		m.write("etc/apt/sources.list", 0o644, sourcesList)
		require.NoError(t, m.run(ams.PhaseBootstrap, application(), map[string]member{}))
		require.Equal(t, "apt-get -q update noninteractive\nunattended-upgrade -v noninteractive\n", m.read("apt"))
	})
}

// Off is off, and only a bootstrap installs updates.
func TestNoSecurityUpdates(t *testing.T) {
	onShells(t, func(t *testing.T, m *machine) {
		m.apt()
		m.write("bin/unattended-upgrade", 0o755, apt)
		require.NoError(t, m.run(ams.PhaseBootstrap, application(), map[string]member{}))
		m.mirror = new(string)
		require.NoError(t, m.run(ams.PhaseStart, application(), nil))
		require.NoError(t, m.run(ams.PhaseStop, application(), nil))
		require.Empty(t, m.read("apt"))
		require.NotContains(t, m.steps, "security updates: 0")
	})
}

func TestSecurityUpdatesFail(t *testing.T) {
	tests := []struct{ name, says, code, want string }{
		{"update", "E: The repository is not signed.", "100", "100: E: The repository is not signed."},
		{"network", "W: Failed to fetch http://archive.ubuntu.com/  Could not resolve", "0", "1: W: Failed to fetch http://archive.ubuntu.com/  Could not resolve"},
		{"hang", "hang", "", "124: timed out after 1 seconds"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			onShells(t, func(t *testing.T, m *machine) {
				m.apt()
				m.mirror = new(string)
				m.env = []string{"APT_SAYS=" + test.says, "APT_CODE=" + test.code}
				if test.says == "hang" {
					m.limit = time.Second
				}
				err := m.run(ams.PhaseBootstrap, application(), map[string]member{})
				require.ErrorIs(t, err, ams.ErrFailed)
				require.EqualError(t, err, "security updates exited with code "+test.want)
				require.Equal(t, "network: 0", strings.Join(m.steps[:1], ""), "it comes before all else")
				require.Equal(t, 1, strings.Count(m.read("apt"), "\n"))
				require.Empty(t, m.read("journal"), "the bootstrap went on")
			})
		})
	}
	t.Run("upgrade", func(t *testing.T) {
		onShells(t, func(t *testing.T, m *machine) {
			m.apt()
			m.mirror = new(string)
			m.write("bin/unattended-upgrade", 0o755, "#!/bin/sh\necho 'dpkg was interrupted' >&2\nexit 1\n")
			require.EqualError(t, m.run(ams.PhaseBootstrap, application(), map[string]member{}),
				"security updates exited with code 1: dpkg was interrupted")
		})
	})
}

// apt installs the stand-in for apt-get.
func (m *machine) apt() {
	lxdtest.Programs(m.t, "awk")
	m.write("bin/apt-get", 0o755, apt)
	if m.shell[0] == "busybox" {
		m.write("bin/awk", 0o755, "#!/bin/sh\nexec busybox awk \"$@\"\n")
	}
}
