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

# Of the command under way: process, mark, log and its reader, input if it is not
# empty, and what there is to say beside its output. Of its time limit: the process
# that watches it, and whether it is up.
job= jobs=0 mark= log= reader= input= text= watcher= expired=

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

# ---- the plan ----------------------------------------------------------------

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

# standby is a start up to just before the app, claim is the rest of it.
start() {
	before_android
	watch_boot
	start_android
	boot_app
	unwatch
	after_android
}

standby() {
	before_android
	watch_boot
	start_android
	unwatch
}

claim() {
	if [ -n "$BOOT_PACKAGE" ]; then
		watch_boot
		boot_app
		unwatch
	fi
	after_android
}

before_android() {
	end_watchdog
	[ -z "$sent" ] || network # what is installed may come from there
	each addon place_addon
	hooks install
	hooks pre-start
}

after_android() {
	hooks post-start
	[ -z "$watchdog" ] || start_watchdog
}

# ---- the watchdog --------------------------------------------------------------

start_watchdog() {
	end_watchdog
	begin watchdog
	rm -f "$logs/watchdog.trip" "$logs/watchdog.log"
	each allow add_allowed
	[ -z "$root" ] || watchdog=note # not the machine that tests run on
	set -f
	AMS_VIA=$via setsid sh "$work/watchdog.sh" ams-watchdog "$watchdog" "$interval" $allowed </dev/null >/dev/null 2>&1 &
	set +f
	end
}

add_allowed() { allowed="$allowed $1"; }

# end_watchdog: ends one that was left behind.
end_watchdog() {
	rm -f "$logs/watchdog.trip"
	[ -e "$work/watchdog" ] || return 0
	read -r dog <"$work/watchdog"
	rm -f "$work/watchdog"
	case $(tr '\000' ' ' <"/proc/$dog/cmdline") in
	*" ams-watchdog "*) end_group "$dog" ;;
	esac 2>/dev/null
}

network() {
	begin network
	watch 60
	until networked; do
		[ -z "$expired" ] || fail 124 "no route after 60 seconds"
		pause
	done
	unwatch
	end
}

# networked: there is a route, or there is nothing but loopback to have one.
networked() {
	for i in "$root"/sys/class/net/*; do
		[ "${i##*/}" = lo ] || [ ! -e "$i" ] || break
		i=
	done
	[ -n "$i" ] || return 0
	{ read -r _ && read -r _; } <"$root/proc/net/route"
}

# place_addon NAME [sent]: puts an addon that was sent in its place, instead of what
# was there.
place_addon() {
	begin "addon $1"
	if [ -n "$2" ]; then
		rm -rf "$ANBOX_DIR/addons/$1"
		[ -d "$work/addons/$1" ] || fail 1 "the addon has no files"
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
		addon) sent=$sent$f2 ;;
		boot) BOOT_PACKAGE=$f1 activity=$f2 ;;
		watchdog) watchdog=$f1 interval=$f2 ;;
		limits) boot_limit=$f1 step_limit=$f2 ;;
		grant-all) grant_all=1 ;;
		keep) keep=$keep$nl$f1 ;;
		esac
	done <"$plan"
	export INSTANCE_TYPE CONTAINER_TYPE BOOT_PACKAGE
}

trap '[ -z "$job" ] || end_job; exit 143' HUP INT TERM
trap 'expired=1' USR1
trap '[ -z "$watcher" ] || end_group "$watcher"' EXIT
cd /
[ -d "$logs" ] && [ -d "$work" ] || mkdir -p "$logs" "$work" || exit
take_over
rm -rf "$plan" "$work/addons"
step='unpack files'
tar -x -f - -C "$ANBOX_DIR" 2>"$work/tar.log" || { code=$? log=$work/tar.log; fail "$code"; }
# The plan comes last: with it, everything has arrived.
[ -e "$plan" ] || fail 1 "the files did not arrive completely"
allowed='' watchdog='' interval=''
package='' abi='' sent='' BOOT_PACKAGE='' activity='' grant_all='' keep="manifest.yaml${nl}hooks"
settings
case $phase in
bootstrap) bootstrap ;;
start) start ;;
standby) standby ;;
claim) claim ;;
stop)
	end_watchdog
	stop_android
	stopped
	;;
*) step=phase; fail 2 "no such phase: $phase" ;;
esac
