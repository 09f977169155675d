# Running things within bounds; driver.sh, which follows, is the rest.

# Kills what has AMS_JOB=$1 in its environment: a command and what it has started,
# also what has left its process group. Again and again, for it may be forking.
reap='
	for pass in 1 2 3 4 5 6 7 8 9; do
		found=
		for p in /proc/[0-9]*; do
			case $(tr "\000" "\n" <"$p/environ") in
			*"AMS_JOB=$1"*)
				found=1
				kill -s KILL -- "-${p#/proc/}" || kill -s KILL "${p#/proc/}"
				;;
			esac
		done
		[ -n "$found" ] || break
	done 2>/dev/null'

# Signals the driver when the time is up, repeatedly, for a signal that comes just
# before a wait is lost on it. A driver that was killed cannot end its command, so
# that is done here as well.
watch='
	while [ "$3" -gt 0 ] && kill -s 0 "$2"; do
		sleep 1
		set -- "$1" "$2" "$(($3 - 1))"
	done
	while kill -s USR1 "$2"; do sleep 1; done
	[ -n "$1" ] || exit'

# watch SECONDS: sets $expired when the time is up, and thereby ends a wait.
watch() {
	expired=
	setsid sh -c "$watch$reap" watch "$mark" "$$" "$1" </dev/null >/dev/null 2>&1 &
	watcher=$!
}

unwatch() {
	end_group "$watcher"
	wait "$watcher" 2>/dev/null
	watcher=
}

# end_group PID: kills a process and its group, if it has got one already.
end_group() {
	{ kill -s KILL -- "-$1" || kill -s KILL "$1"; } 2>/dev/null
}

# end_job: kills the command under way and all that it has started.
end_job() {
	end_group "$job"
	[ -z "$mark" ] || sh -c "$reap" reap "$mark"
}

# take_over: ends a driver, with its command, that goes on although its caller has
# lost it and has sent this one.
take_over() {
	driver=
	[ ! -e "$work/driver" ] || read -r driver mark <"$work/driver"
	if [ -n "$driver" ] && [ "$driver" != "$$" ] && kill -s 0 "$driver" 2>/dev/null; then
		case $(tr '\000' ' ' <"/proc/$driver/cmdline") in
		*" ams-guest "*) kill -s KILL "$driver" ;;
		esac
	fi
	[ -z "$mark" ] || sh -c "$reap" reap "$mark"
	mark=
	echo "$$" >"$work/driver"
}

# await_job: waits for the command under way, and kills it if the time is up first.
# Result in $code.
await_job() {
	wait "$job"
	code=$?
	if [ -n "$expired" ]; then
		end_job
		code=124 text="timed out after $limit seconds"
	fi
	job=
}

# quick LOG COMMAND…: runs a command in a session of its own. It is for programs
# of the image, which print little, inside a watch.
quick() {
	log=$1 reader=
	shift
	setsid "$@" </dev/null >"$log" 2>&1 &
	job=$!
	await_job
}

# limited SECONDS LOG COMMAND…: runs a command in a session of its own for so long
# at most. It keeps the first MiB of the output, at once, and when all of it has
# come the last 3000 bytes as well. What the command leaves running stays.
limited() {
	limit=$1 log=$2
	shift 2
	read -r now _ </proc/uptime
	jobs=$((jobs + 1))
	mark=$jobs-$$-$now
	echo "$$ $mark" >"$work/driver"
	rm -f "$work/out" "$work/tail"
	mkfifo "$work/out"
	{
		(trap '' XFSZ && ulimit -f 2048 && exec tee "$log" <"$work/out") | tail -c 3000
	} >"$work/tail" 2>/dev/null &
	reader=$!
	watch "$limit"
	AMS_JOB=$mark setsid "$@" <"${input:-/dev/null}" >"$work/out" 2>&1 &
	job=$!
	await_job
	unwatch
	mark=
	echo "$$" >"$work/driver"
}

# drain: waits until the output is written, for a second at most, because what a
# command left running may hold it open.
drain() {
	[ -n "$reader" ] || return 0
	watch 1
	wait "$reader"
	unwatch
}

# must COMMAND…: limited or quick, and a failure is that of the step.
must() {
	"$@"
	[ "$code" = 0 ] || fail "$code" "$text"
}

# says WORD: a line of the output begins with it.
says() {
	while read -r line || [ -n "$line" ]; do
		case $line in
		"$1"*) return 0 ;;
		esac
	done <"$log"
	return 1
}

# pause: a tenth of a second, where that can be had.
pause() {
	sleep 0.1 2>/dev/null || sleep 1
}
