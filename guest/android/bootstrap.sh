# What only the phase bootstrap does; driver.sh, which follows, is the rest.

bootstrap() {
	network
	each security security_updates
	each addon place_addon
	hooks install
	hooks pre-start
	watch_boot
	start_android
	unwatch
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

install_apk() {
	[ -f "$APP_DIR/app.apk" ] || return 0
	begin "install app.apk"
	export AMS_PACKAGE="$package" # for stand-ins, which cannot read an APK
	set --
	[ -z "$grant_all" ] || set -- -g
	[ -z "$abi" ] || set -- "$@" --abi "$abi"
	if [ -z "$via" ]; then
		set -- "$@" "$APP_DIR/app.apk"
	else # Android does not see our files
		input=$APP_DIR/app.apk
		set -- "$@" -S "$(wc -c <"$input")"
	fi
	must limited "$step_limit" "$logs/install.log" $via pm install -r "$@"
	input=
	drain
	says Success || fail 1
	end
}

# grant PERMISSION
grant() {
	begin "grant $1"
	must limited "$step_limit" "$logs/grant.log" $via pm grant "$package" "$1"
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
	limited "$step_limit" "$logs/extra-data.log" $via sh -c "$place" place \
		"$root$2" "$1" "$3" "$4" "$5" "$root/data/data/$package"
	input=
	[ "$code" = 0 ] || fail "$code" "extra-data/$1 to $2: $text"
	wait "$packer" || fail $? "extra-data/$1 cannot be read"
	end
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
			case $pattern in
			*/*) [ "$path" != "${path#*/}" ] || { verdict=above; break; } ;;
			*) [ "$path" != "${path#*/}" ] || { verdict=keep; break 2; }; break ;;
			esac
			path=${path#*/} pattern=${pattern#*/}
		done
	done
	unset IFS
	set +f
}

