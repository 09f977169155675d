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

job= reader= log= text= input= # the command under way, its log, and what else there is to say

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
		elif [ -s "$log.end" ]; then
			cat "$log.end"
		else
			tail -c 3000 "$log"
		fi 2>/dev/null
		printf '\n%s' "$1"
	} | tail -c 3000 | tr -d '\000-\010\013-\037\177' |
		sed 's/\\/\\\\/g; s/"/\\"/g; s/	/\\t/g; s/$/\\n/' | tr -d '\n'
}

# ---- running things within bounds --------------------------------------------

# limited SECONDS LOG COMMAND…: runs a command in a session of its own, kills all
# of that session when the time is up, and keeps the first MiB of the output, and
# the last 3000 bytes of what is longer. What the command leaves running stays.
# Result in $code.
limited() {
	limit=$1 log=$2
	shift 2
	rm -f "$work/out" "$work/expired"
	mkfifo "$work/out"
	{
		head -c 1048576 >>"$log"
		tail -c 3000 >"$log.end"
	} <"$work/out" >/dev/null 2>&1 &
	reader=$!
	setsid "$@" <"${input:-/dev/null}" >"$work/out" 2>&1 &
	job=$!
	setsid sh -c 'sleep "$1"; : >"$2"; kill -s KILL -- "-$3"' \
		watch "$limit" "$work/expired" "$job" </dev/null >/dev/null 2>&1 &
	watch=$!
	wait "$job"
	code=$?
	end_group "$watch"
	if [ -e "$work/expired" ]; then
		end_group "$job"
		code=124 text="timed out after $limit seconds"
	fi
	job=
}

# end_group PID: kills a process and its group, if it has got one already.
end_group() {
	{ kill -s KILL -- "-$1" || kill -s KILL "$1"; } 2>/dev/null
}

# drain: waits until the output is written, for a second at most, because what a
# command left running may hold it open.
drain() {
	[ -n "$reader" ] || return 0
	setsid sh -c 'sleep 1; kill -s USR1 "$1"' timer "$$" </dev/null >/dev/null 2>&1 &
	timer=$!
	wait "$reader"
	end_group "$timer"
}

# must SECONDS LOG COMMAND…: as limited, and a failure is that of the step.
must() {
	limited "$@"
	[ "$code" = 0 ] || fail "$code" "$text"
}

# ready SECONDS COMMAND…: asks again until the command succeeds.
ready() {
	tries=$(($1 * 10))
	shift
	until "$@"; do
		[ "$tries" -gt 0 ] || return 1
		tries=$((tries - 1))
		sleep 0.1 2>/dev/null || { sleep 1; tries=$((tries - 9)); }
	done
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
	must "$5" "$logs/$4.${3##*/}.log" "$file"
	unset ADDON_DIR
	cd /
	end
}

# check_addon NAME
check_addon() {
	begin "addon $1"
	[ -d "$ANBOX_DIR/addons/$1" ] || fail 1 "the addon is not installed"
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

start_android() {
	begin "boot android"
	if [ -x "$android" ]; then
		must "$boot_limit" "$logs/android.log" "$android" start
	elif [ "$via" = 'waydroid shell --' ]; then
		limited "$boot_limit" "$logs/android.log" sh -c 'waydroid session start &'
	fi
	ready "$boot_limit" booted || fail 124 "Android has not booted after $boot_limit seconds"
	end
}

booted() {
	[ "$($via getprop sys.boot_completed 2>/dev/null </dev/null | head -c 64)" = 1 ]
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
	must "$step_limit" "$logs/am.log" $via am start "$@"
	drain
	# Some versions of am tell of errors only in words.
	! grep -q '^Error' "$log" || fail 1
	end
}

install_apk() {
	[ -f "$APP_DIR/app.apk" ] || return 0
	begin "install app.apk"
	export AMS_PACKAGE="$package" # for stand-ins, which cannot read an APK
	set --
	[ -z "$grant_all" ] || set -- -g
	if [ -z "$via" ]; then
		set -- "$@" "$APP_DIR/app.apk"
	else # Android does not see our files
		input=$APP_DIR/app.apk
		set -- "$@" -S "$(wc -c <"$input")"
	fi
	must "$step_limit" "$logs/install.log" $via pm install -r "$@"
	input=
	drain
	grep -q Success "$log" || fail 1
	end
}

# grant PERMISSION
grant() {
	begin "grant $1"
	must "$step_limit" "$logs/install.log" $via pm grant "$package" "$1"
	end
}

# Runs inside Android with an archive of one item on its input.
place='
	target=$1 name=$2 owner=$3 file_mode=$4 dir_mode=$5
	if [ "${owner%%:*}" = package ]; then
		uid=$(stat -c %u "$6") || exit
		group=${owner#*:}
		[ "$group" != package ] || group=$uid
		owner=$uid:$group
	fi
	directory() {
		[ ! -d "$1" ] || return 0
		directory "${1%/*}" && mkdir "$1" && chown "$owner" "$1" && chmod "$dir_mode" "$1"
	}
	directory "$target" && tar -x -f - -C "$target" &&
		chown -R -h "$owner" "$target/$name" &&
		find "$target/$name" -type d -exec chmod "$dir_mode" {} + &&
		find "$target/$name" -type f -exec chmod "$file_mode" {} +'

# put NAME TARGET OWNER FILE-MODE DIR-MODE: copies from extra-data into Android.
put() {
	begin "extra data"
	item=$APP_DIR/extra-data/$1
	[ -e "$item" ] || fail 1 "extra-data/$1 is not in the package"
	rm -f "$work/item"
	mkfifo "$work/item"
	tar -c -f "$work/item" -C "$APP_DIR/extra-data" "./$1" </dev/null >/dev/null 2>&1 &
	packer=$!
	input=$work/item
	limited "$step_limit" "$logs/install.log" $via sh -c "$place" place \
		"$root$2" "$1" "$3" "$4" "$5" "$root/data/data/$package"
	input=
	[ "$code" = 0 ] || fail "$code" "extra-data/$1 to $2: $text"
	wait "$packer" || fail $? "extra-data/$1 cannot be read"
	end
}

# ---- bootstrap only ----------------------------------------------------------

# networked: there is a route, or there is nothing but loopback to have one.
networked() {
	for i in "$root"/sys/class/net/*; do
		[ "${i##*/}" = lo ] || [ ! -e "$i" ] || break
		i=
	done
	[ -n "$i" ] || return 0
	{ read -r _ && read -r _; } <"$root/proc/net/route"
}

# prune PREFIX: removes what is in the package below a directory, "" or "…/", but
# for what matches a pattern to keep. A subshell, so that it can call itself.
prune() (
	for f in "$APP_DIR/$1"* "$APP_DIR/$1".[!.]* "$APP_DIR/$1"..?*; do
		[ -e "$f" ] || [ -L "$f" ] || continue
		match "$1${f##*/}"
		if [ "$verdict" = keep ]; then
			continue
		elif [ "$verdict" = above ] && [ -d "$f" ] && [ ! -L "$f" ]; then
			prune "$1${f##*/}/"
			rmdir "$f" 2>/dev/null
		else
			rm -rf "$f"
		fi
	done
)

# match PATH: the verdict is keep, above (a pattern may match below it) or drop. As
# in Go's path.Match, a * stays within one element of the path.
match() {
	verdict=drop
	set -f
	IFS=$nl
	for pattern in $keep; do
		path=$1
		while :; do
			case ${path%%/*} in
			${pattern%%/*}) ;;
			*) break ;;
			esac
			case $path,$pattern in
			*/*,*/*) path=${path#*/} pattern=${pattern#*/} ;;
			*/*,*) break ;;
			*,*/*) verdict=above; break ;;
			*) verdict=keep; break 2 ;;
			esac
		done
	done
	unset IFS
	set +f
}

# ---- phases ------------------------------------------------------------------

bootstrap() {
	begin network
	ready 60 networked || fail 124 "no route after 60 seconds"
	end
	each addon check_addon
	hooks install
	hooks pre-start
	start_android
	install_apk
	each grant grant
	each data put
	hooks post-start
	stop_android
	stopped
	begin "prune the package"
	prune ''
	# What belongs to this base instance is not for those made from it.
	rm -rf "$work" "$ANBOX_DIR/session.yaml" "$ANBOX_DIR/userdata"
	end
	rm -rf "$logs"
	sync
}

start() {
	hooks pre-start
	start_android
	boot_app
	hooks post-start
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

# setting KEY VALUE…: one line of the plan.
setting() {
	while IFS=$tab read -r key f1 f2; do
		case $key in
		type) INSTANCE_TYPE=$f1 CONTAINER_TYPE=$f1 ;;
		package) package=$f1 ;;
		boot) BOOT_PACKAGE=$f1 activity=$f2 ;;
		limits) boot_limit=$f1 step_limit=$f2 ;;
		grant-all) grant_all=1 ;;
		keep) keep=$keep$nl$f1 ;;
		esac
	done <"$plan"
	export INSTANCE_TYPE CONTAINER_TYPE BOOT_PACKAGE
}

trap '[ -z "$job" ] || end_group "$job"; exit 143' HUP INT TERM
trap : USR1
cd /
[ -d "$logs" ] && [ -d "$work" ] || mkdir -p "$logs" "$work" || exit
[ ! -e "$plan" ] || rm -f "$plan"
step='unpack files'
tar -x -f - -C "$ANBOX_DIR" 2>"$work/tar.log" || { code=$? log=$work/tar.log; fail "$code"; }
# The plan comes last: with it, everything has arrived.
[ -e "$plan" ] || fail 1 "the files did not arrive completely"
package='' BOOT_PACKAGE='' activity='' grant_all='' keep="manifest.yaml${nl}hooks"
setting
case $phase in
bootstrap) bootstrap ;;
start) start ;;
stop)
	stop_android
	stopped
	;;
*) step=phase; fail 2 "no such phase: $phase" ;;
esac
