# What the phase bootstrap does, beside bootstrap.sh, if security updates are
# wanted.

# security_updates MIRROR
security_updates() {
	command -v apt-get >/dev/null || return 0
	begin "security updates"
	must limited "$step_limit" "$logs/security.log" sh -c "$update" update "$work/apt" "$root/etc/apt" "$1" "$pockets"
	end
}

# The image's lists of sources are left as they are: apt gets copies, in a
# directory that also takes the package lists and what is downloaded. It is removed
# in the end. The copies have nothing but the security pockets, so that whichever
# program does the upgrade finds nothing else to upgrade to.
update='
	apt=$1 etc=$2 mirror=$3 pockets=$4
	rm -rf "$apt"
	mkdir -p "$apt/sources.list.d" "$apt/lists/partial" "$apt/cache/archives/partial" || exit
	trap "exit 143" HUP INT TERM
	trap "rm -rf \"\$apt\"" EXIT
	export APT_CONFIG="$apt/apt.conf" DEBIAN_FRONTEND=noninteractive
	cat >"$APT_CONFIG" <<-END || exit
		Dir::Etc::SourceList "$apt/sources.list";
		Dir::Etc::SourceParts "$apt/sources.list.d";
		Dir::State::Lists "$apt/lists";
		Dir::Cache "$apt/cache";
		Acquire::Languages "none";
		DPkg::Options { "--force-confdef"; "--force-confold"; };
		DPkg::Lock::Timeout "60";
	END
	for f in "$etc/sources.list" "$etc"/sources.list.d/*.list "$etc"/sources.list.d/*.sources; do
		[ -f "$f" ] || continue
		stanzas=
		[ "$f" = "${f%.sources}" ] || stanzas=1
		awk -v stanzas="$stanzas" -v mirror="$mirror" "$pockets" "$f" >"$apt/${f#"$etc/"}" || exit
	done
	# It ends well, too, if it got nothing because the network is down.
	{ apt-get -q update 2>&1; echo $? >"$apt/code"; } | tee "$apt/said"
	read -r code <"$apt/code" && [ "$code" = 0 ] || exit "${code:-1}"
	! grep -q "^W: Failed to fetch" "$apt/said" || exit
	if command -v unattended-upgrade >/dev/null; then
		unattended-upgrade -v
	else
		apt-get -q -y upgrade
	fi'

# Copies a list of sources: of its lines, or of the suites in its stanzas, those of
# security pockets. A mirror with a path takes the place of the whole address, one
# without a path that of the host.
pockets='
	BEGIN {
		if (stanzas) RS = ""
		ubuntu = "https?://([A-Za-z0-9-]+[.])*(archive|security|ports)[.]ubuntu[.]com(:[0-9]+)?/"
		if (mirror ~ "://[^/]*/.") ubuntu = ubuntu "[^] \t\n]*"
		else mirror = mirror "/"
	}
	mirror != "/" { gsub(ubuntu, mirror) }
	!stanzas {
		plain = $0
		sub(/\[[^]]*\]/, "", plain)
		split(plain, word)
		if (word[1] == "deb" && word[3] ~ /-security$/) print
	}
	stanzas {
		n = split($0, line, "\n")
		text = suites = field = ""
		for (i = 1; i <= n; i++) {
			if (line[i] ~ /^#/ || line[i] == "") continue
			value = line[i]
			if (value !~ /^[ \t]/) {
				field = tolower(substr(value, 1, index(value, ":") - 1))
				value = substr(value, index(value, ":") + 1)
			}
			if (field != "suites") {
				text = text line[i] "\n"
				continue
			}
			count = split(value, word)
			for (j = 1; j <= count; j++)
				if (word[j] ~ /-security$/) suites = suites " " word[j]
		}
		if (suites != "") print text "Suites:" suites "\n"
	}'
