# The watchdog of an instance: sh FILE ams-watchdog MODE SECONDS [PACKAGE…]
#
# One process that looks every so many seconds whether the boot package runs, has
# not stopped answering, and is what is in the foreground, or else one of the other
# packages; "*" among them allows all. What it finds twice in a row it believes.
# Then it leaves the reason, and stops the instance if MODE is "stop".
set -f
mode=$2 interval=$3
shift 3
echo "$$" >"$ANBOX_DIR/.ams/watchdog"

# trip REASON
trip() {
	echo "watchdog: $1" >>"$ANBOX_DIR/logs/system.log"
	if [ "$mode" != stop ]; then
		echo "$1" >"$ANBOX_DIR/logs/watchdog.log"
		exit 0
	fi
	echo "$1" >"$ANBOX_DIR/.ams/trip" && mv "$ANBOX_DIR/.ams/trip" "$ANBOX_DIR/logs/watchdog.trip"
	sync
	if command -v systemctl >/dev/null; then
		systemctl poweroff --no-block
	else
		kill -s PWR 1
	fi
	sleep 5
	poweroff -f
	exit 1
}

# foreground: the package of the activity that is shown, in $shown; empty if
# Android does not say.
foreground() {
	shown=
	while read -r line; do
		case $line in
		*ResumedActivity*ActivityRecord*/*)
			line=${line%%/*}
			shown=${line##* }
			return
			;;
		esac
	done <<-EOF
		$($AMS_VIA dumpsys activity activities 2>/dev/null)
	EOF
}

# allowed PACKAGE: it may be in the foreground.
allowed() {
	case $1 in
	"$BOOT_PACKAGE" | '' | android | com.android.systemui | com.android.permissioncontroller | com.google.android.permissioncontroller) return 0 ;;
	esac
	for package in $others; do
		[ "$package" != "$1" ] || return 0
	done
	return 1
}

others=$* any=
for package in "$@"; do
	if [ "$package" = '*' ]; then
		any=1
	else
		[ -n "$($AMS_VIA pm path "$package" 2>/dev/null)" ] || trip "the allowed package $package is not installed"
	fi
done
last=
while sleep "$interval"; do
	read -r me <"$ANBOX_DIR/.ams/watchdog" && [ "$me" = "$$" ] || exit 0 # another has taken over
	found=
	foreground
	case $($AMS_VIA dumpsys activity lru 2>/dev/null) in
	*":$BOOT_PACKAGE/"*)
		[ -n "$any" ] || allowed "$shown" || found="$shown came to the foreground and is not allowed"
		;;
	*) found="$BOOT_PACKAGE has crashed" ;;
	esac
	case $($AMS_VIA dumpsys activity lastanr 2>/dev/null) in
	*"ANR in $BOOT_PACKAGE"*) trip "$BOOT_PACKAGE does not respond" ;;
	esac
	[ -z "$found" ] || [ "$found" != "$last" ] || trip "$found"
	last=$found
done
