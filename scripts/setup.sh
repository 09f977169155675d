#!/bin/sh
# Makes this machine ready for "make demo" and "make test". As root on Debian and
# Ubuntu it installs what is missing and says in one line what that was; when
# nothing is missing it is silent. What cannot be had is told in one line with
# what will not run without it, and is an error only where CI is "true".
#
#   scripts/setup.sh          install
#   scripts/setup.sh --lxd    install nothing; succeed if tests can start LXD daemons
set -eu
export PATH="$PATH:/usr/sbin:/sbin"

have() { command -v "$1" >/dev/null 2>&1; }

# The snap's LXD serves the demo, but its program only ever is the one daemon of
# the machine; tests start daemons of their own.
snap_lxd() { have snap && [ -e /snap/bin/lxd ]; }
own_lxd() {
	have lxd || return 1
	case $(readlink -f "$(command -v lxd)") in /snap/* | */snap) return 1 ;; esac
}
lxd_runs() { [ "$(id -u)" = 0 ] && own_lxd && have lxc && have dnsmasq && have iptables; }

if [ "${1:-}" = --lxd ]; then
	lxd_runs
	exit
fi

if ! have go; then
	echo "setup: Go is not installed: see https://go.dev/dl" >&2
	exit 1
fi

distribution=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}") || distribution=
packages=
want() { packages="$packages $*"; }

have gcc || have cc || want gcc
[ -e /usr/include/stdlib.h ] || want libc6-dev
[ -e /bin/busybox ] && ! grep -q /ld-linux /bin/busybox || want busybox-static
case " $distribution " in
*" ubuntu "*) ;; # its LXD is the snap
*) own_lxd && have lxc || want lxd lxd-client ;;
esac
if ! snap_lxd; then
	have dnsmasq || want dnsmasq-base
	have iptables || want iptables
	have nft || want nftables
	have ip || want iproute2
	have setsid || want util-linux
	# What LXD unpacks images with; its package brings some of them only.
	have bzip2 || want bzip2
	have xz || want xz-utils
	have zstd || want zstd
	have mksquashfs || want squashfs-tools
fi

why=
if [ -n "$packages" ]; then
	if [ "$(id -u)" != 0 ]; then
		why="not root"
	elif ! have apt-get; then
		why="no apt-get"
	else
		log=$(mktemp)
		trap 'rm -f "$log"' EXIT
		export DEBIAN_FRONTEND=noninteractive
		# shellcheck disable=SC2086 # a list of words
		install() { apt-get install -y --no-install-recommends $packages >"$log" 2>&1; }
		# The package lists may be absent or out of date.
		if install || { apt-get update >"$log" 2>&1 && install; }; then
			echo "setup: installed$packages"
		else
			tail -n 20 "$log" >&2
			why="apt-get failed"
		fi
	fi
fi

# lost says what will not run.
status=0
lost() {
	echo "setup: $1"
	[ "${CI:-}" != true ] || status=1
}
[ -z "$why" ] || lost "missing$packages ($why)"
have gcc || have cc || lost "no C compiler: what needs SQLite and the race detector will not run"
if ! lxd_runs; then
	if snap_lxd; then
		lost "LXD is the snap here: the demo uses it, but the tests on LXD need daemons of their own and will not run"
	elif [ "$(id -u)" != 0 ]; then
		lost "not root: the tests on LXD will not run, and the demo runs on LXD only where you may use one that runs"
	else
		case " $distribution " in
		*" ubuntu "*) lost "no LXD (snap install lxd): the tests on LXD will not run, and the demo runs without LXD" ;;
		*) lost "no LXD: the tests on LXD will not run, and the demo runs without LXD" ;;
		esac
	fi
fi
exit $status
