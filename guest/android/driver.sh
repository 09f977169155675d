# The AMS guest driver: sh -c "$DRIVER" ams-guest PHASE
#
# It performs one phase of an instance's life; docs/guides/guest.md is the
# contract. Standard input is a tar archive with the files for /var/lib/anbox. Its
# last member, .ams/plan, says what to do: lines of fields separated by tabs. Of
# each step one line of JSON goes to standard output. The end code is 0, or 1
# after a step has failed.
#
# Nothing from outside is ever evaluated, and names may be any but for control
# characters. It needs sh, tar, setsid, mkfifo and the usual small programs of
# busybox, toybox or coreutils.

LC_ALL=C
PATH=${PATH:-/usr/sbin:/usr/bin:/sbin:/bin}:/system/bin
export LC_ALL PATH
phase=$1
root=${AMS_GUEST_ROOT-} # not empty in tests only
tab='	'
nl='
'

own=$root/usr/share/ams/guest
[ ! -x "$own" ] || exec "$own" "$phase"

ANBOX_DIR=$root/var/lib/anbox
APP_DIR=$ANBOX_DIR/app
ANDROID_ROOTFS=$ANBOX_DIR/rootfs
export ANBOX_DIR APP_DIR ANDROID_ROOTFS
unset ADDON_DIR ANBOX_EXIT_CODE
logs=$ANBOX_DIR/logs
work=$ANBOX_DIR/.ams
plan=$work/plan
android=$root/usr/share/ams/android

# Of the command under way: process, log and its reader, input if it is not empty,
# and what there is to say beside its output. Of its time limit: the process that
# watches it, and whether it is up.
job= log= reader= input= text= watcher= expired=

# ---- telling -----------------------------------------------------------------

# begin STEP
begin() {
	step=$1 text='' log=''
	say "{\"step\":\"$step\",\"state\":\"begin\"}"
}

# end: the step went well.
end() {
	say "{\"step\":\"$step\",\"state\":\"end\",\"exit\":0}"
}

# fail CODE [TEXT]: the step failed; its output's tail is told, and the text.
fail() {
	[ -z "$log" ] || drain
	say "{\"step\":\"$step\",\"state\":\"fail\",\"exit\":$1,\"tail\":\"$(tail_of_output "${2-}")\"}"
	exit 1
}

say() {
	printf '%s\n' "$1"
	printf '%s\n' "$1" >>"$logs/system.log"
}

# tail_of_output TEXT: the end of the output and the text, as inside a JSON string.
tail_of_output() {
	{
		if [ -z "$log" ]; then
			:
		elif [ -s "$work/tail" ]; then
			cat "$work/tail"
		else
			tail -c 3000 "$log"
		fi 2>/dev/null
		printf '\n%s' "$1"
	} | tail -c 3000 | tr -d '\000-\010\013-\037\177' |
		sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g; s/$/\\n/' | tr -d '\n'
}

# ---- running things within bounds --------------------------------------------

# watch SECONDS: sets $expired when the time is up, and thereby ends a wait. The
# signal is repeated, for the one that comes just before a wait is lost on it.
watch() {
	expired=
	setsid sh -c 'sleep "$1"; while kill -s USR1 "$2"; do sleep 1; done' \
		watch "$1" "$$" </dev/null >/dev/null 2>&1 &
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

# await_job: waits for the command under way, and kills it with all of its group
# if the time is up first. Result in $code.
await_job() {
	wait "$job"
	code=$?
	if [ -n "$expired" ]; then
		end_group "$job"
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
# at most. It keeps the first MiB of the output, and of what is longer the last
# 3000 bytes as well. What the command leaves running stays.
limited() {
	limit=$1 log=$2
	shift 2
	rm -f "$work/out" "$work/tail"
	mkfifo "$work/out"
	{
		head -c 1048576 >"$log"
		exec tail -c 3000 >"$work/tail"
	} <"$work/out" >/dev/null 2>&1 &
	reader=$!
	watch "$limit"
	setsid "$@" <"${input:-/dev/null}" >"$work/out" 2>&1 &
	job=$!
	await_job
	unwatch
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

# each KEY FUNCTION: calls the function with the fields of each such line.
each() {
	while IFS=$tab read -r key f1 f2 f3 f4 f5; do
		[ "$key" != "$1" ] || "$2" "$f1" "$f2" "$f3" "$f4" "$f5"
	done <"$plan"
}

# ---- hooks -------------------------------------------------------------------

# hooks SLOT: runs the hooks the plan has for this moment, in its order.
hooks() {
	slot=$1
	each hook run_hook
}

# run_hook SLOT WHOSE DIR HOOK SECONDS
run_hook() {
	[ "$1" = "$slot" ] || return 0
	file=$ANBOX_DIR/$3/hooks/$4
	[ -e "$file" ] || [ -L "$file" ] || return 0
	begin "$4 hook of $2"
	[ -f "$file" ] || fail 126 "the hook is not a file"
	[ -x "$file" ] || fail 126 "the hook is not executable"
	cd "$ANBOX_DIR/$3" || fail 126 "$3 is not a directory"
	case $3 in
	addons/*) export ADDON_DIR="$ANBOX_DIR/$3" ;;
	esac
	must limited "$5" "$logs/$4.${3##*/}.log" "$file"
	unset ADDON_DIR
	cd /
	end
}

# ---- Android -----------------------------------------------------------------

# What precedes pm, am and the like. The words are split on purpose.
if command -v pm >/dev/null; then
	via=
elif command -v anbox-shell >/dev/null; then
	via=anbox-shell
elif command -v waydroid >/dev/null; then
	via='waydroid shell --'
else
	via=
fi

# start_android is for use inside a watch.
start_android() {
	begin "boot android"
	if [ -x "$android" ]; then
		must quick "$logs/android.log" "$android" start
	elif [ "$via" = 'waydroid shell --' ]; then
		must quick "$logs/android.log" sh -c 'waydroid session start &'
	fi
	until booted; do
		[ -z "$expired" ] || fail 124 "Android has not booted after $limit seconds"
		pause
	done
	end
}

booted() {
	quick "$work/property" $via getprop sys.boot_completed
	answer=
	read -r answer <"$work/property"
	[ "$answer" = 1 ]
}

# stop_android: its code is in $code.
stop_android() {
	begin "stop android"
	if [ -x "$android" ]; then
		limited "$step_limit" "$logs/android.log" "$android" stop
	elif [ "$via" = 'waydroid shell --' ]; then
		limited "$step_limit" "$logs/android.log" waydroid session stop
	else
		code=0 # Android ends with the instance
	fi
}

# boot_app: brings the boot package to the foreground.
boot_app() {
	[ -n "$BOOT_PACKAGE" ] || return 0
	begin "start $BOOT_PACKAGE"
	if [ -n "$activity" ]; then
		set -- -n "$BOOT_PACKAGE/$activity"
	else
		set -- -a android.intent.action.MAIN -c android.intent.category.LAUNCHER -p "$BOOT_PACKAGE"
	fi
	# am may print much when it fails, and the file may hold a MiB of it.
	must quick "$logs/am.log" sh -c 'ulimit -f 2048; exec "$@"' am $via am start "$@"
	# Some versions of it tell of errors only in words.
	! says Error || fail 1
	end
}

# ---- phases, beside the one in bootstrap.sh -----------------------------------

start() {
	each addon place_addon
	hooks install
	hooks pre-start
	watch_boot
	start_android
	boot_app
	unwatch
	hooks post-start
}

# place_addon NAME [sent]: puts an addon that was sent in its place, instead of what
# was there.
place_addon() {
	begin "addon $1"
	if [ -n "$2" ]; then
		rm -rf "$ANBOX_DIR/addons/$1"
		mkdir -p "$ANBOX_DIR/addons" && mv "$work/addons/$1" "$ANBOX_DIR/addons/$1" || fail $?
	fi
	[ -d "$ANBOX_DIR/addons/$1" ] || fail 1 "the addon is not installed"
	end
}

watch_boot() {
	limit=$boot_limit
	watch "$limit"
}

# stopped: the hooks run, too, when Android did not stop well.
stopped() {
	android_code=$code android_log=$log android_text=$text
	[ "$code" != 0 ] || end
	export ANBOX_EXIT_CODE="$code"
	hooks post-stop
	[ "$android_code" = 0 ] && return
	step='stop android' log=$android_log
	fail "$android_code" "$android_text"
}

# settings reads the lines of the plan that are not something to be done.
settings() {
	while IFS=$tab read -r key f1 f2; do
		case $key in
		type) INSTANCE_TYPE=$f1 CONTAINER_TYPE=$f1 ;;
		package) package=$f1 ;;
		abi) abi=$f1 ;;
		boot) BOOT_PACKAGE=$f1 activity=$f2 ;;
		limits) boot_limit=$f1 step_limit=$f2 ;;
		grant-all) grant_all=1 ;;
		keep) keep=$keep$nl$f1 ;;
		esac
	done <"$plan"
	export INSTANCE_TYPE CONTAINER_TYPE BOOT_PACKAGE
}

trap '[ -z "$job" ] || end_group "$job"; exit 143' HUP INT TERM
trap 'expired=1' USR1
trap '[ -z "$watcher" ] || end_group "$watcher"' EXIT
cd /
[ -d "$logs" ] && [ -d "$work" ] || mkdir -p "$logs" "$work" || exit
rm -rf "$plan" "$work/addons"
step='unpack files'
tar -x -f - -C "$ANBOX_DIR" 2>"$work/tar.log" || { code=$? log=$work/tar.log; fail "$code"; }
# The plan comes last: with it, everything has arrived.
[ -e "$plan" ] || fail 1 "the files did not arrive completely"
package='' abi='' BOOT_PACKAGE='' activity='' grant_all='' keep="manifest.yaml${nl}hooks"
settings
case $phase in
bootstrap) bootstrap ;;
start) start ;;
stop)
	stop_android
	stopped
	;;
*) step=phase; fail 2 "no such phase: $phase" ;;
esac
