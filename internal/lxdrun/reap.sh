# reap DIR BRIDGE NAMESPACE: waits until its input ends, then removes the LXD daemon
# of DIR: its processes and instances, mounts, bridge, network namespace and files.
# Doing it twice is harmless.
cat >/dev/null
dir=$1 bridge=$2 namespace=$3
[ -d "$dir" ] || exit 0

# The daemon and what it started carry LXD_DIR in their environment. Instances do
# not, but end with their monitors, which do.
mine() {
	grep -lzxF "LXD_DIR=$dir" /proc/[0-9]*/environ 2>/dev/null | cut -d/ -f3
}
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
	pids=$(mine)
	[ -n "$pids" ] || break
	kill -KILL $pids 2>/dev/null
	sleep 0.1
done

# Inner mounts come later in the list and go first.
for m in $(awk -v d="$dir/" 'index($5, d) == 1 { l = $5 " " l } END { print l }' /proc/self/mountinfo); do
	umount -l "$m" 2>/dev/null
done

# A namespace lives on while connections in it that nobody closed time out; its
# cable need not.
[ -e "/run/netns/$namespace" ] && ip netns delete "$namespace"
cable=amsv${namespace#amslxd-}
[ -e "/sys/class/net/$cable" ] && ip link delete "$cable"
# Cables of instances that were killed end at the bridge and outlive it.
for port in "/sys/class/net/$bridge"/brif/*; do
	[ -e "$port" ] && ip link delete "${port##*/}"
done
[ -e "/sys/class/net/$bridge" ] && ip link delete "$bridge"

# Control groups of instances whose monitors were killed. One in use, perhaps by
# an instance of that name elsewhere, is not empty and stays.
for c in "$dir"/containers/*; do
	n=${c##*/}
	# Where the name was taken, LXC has put a number behind it.
	for g in /sys/fs/cgroup/lxc.*."$n" /sys/fs/cgroup/*/lxc.*."$n" /sys/fs/cgroup/lxc.*."$n"-[0-9]* /sys/fs/cgroup/*/lxc.*."$n"-[0-9]*; do
		[ -d "$g" ] && find "$g" -depth -type d -exec rmdir {} \; 2>/dev/null
	done
done

for _ in 1 2 3 4 5; do
	umount -l "$dir" 2>/dev/null
	rm -rf --one-file-system "$dir" && break
	sleep 0.2
done
[ ! -e "$dir" ]
