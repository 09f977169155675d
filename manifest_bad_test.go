package ams

import (
	"fmt"
	"strings"
)

type badManifest struct{ Name, Text string }

// badManifests are the inputs whose messages are in testdata/golden/manifests-refused.txt.
func badManifests() []badManifest {
	// with returns the manifest of a good name and one more line.
	with := func(text string) string { return "name: abc\n" + text + "\n" }
	var list []badManifest
	add := func(name string, texts ...string) {
		for i, text := range texts {
			list = append(list, badManifest{fmt.Sprintf("%s %d", name, i+1), text})
		}
	}
	add("empty", "", "# nothing\n", "---\n", "null\n")
	add("not a mapping", "- a\n", "\nhello\n", "42\n")
	add("two documents", "name: abc\n---\nname: xyz\n", "name: abc\n---\n")
	add("not YAML", "name: abc\n\ttags: [x]\n", "name: [abc\n", "name: 'abc\n", "%YAML 9.9\n---\nname: abc\n", "name: abc\n--- x: [\n", "name: abc\n---\n[a\n")
	add("bytes", "name: abc\nversion: a\x00b\n", "name: \xff\n", "name: abc\x7f\n", "name: \"a\\x00b\"\n", with(`version: "a\nb"`), with(`tags: ["a\tb"]`))
	add("too much",
		with("version: "+strings.Repeat("x", 70_000)),
		keys(257), deep(33), flow(200),
		with("tags: ["+strings.Repeat("x,", 1001)+"]"),
		with("tags: ["+strings.Repeat("["+strings.Repeat("x,", 999)+"],", 11)+"]"),
		strings.Repeat("unknown_key: 1\n", 200),
		keys(100_000))
	add("YAML features", with("version: &a x\nimage: *a"), with("watchdog: &a {disabled: true}"), with("<<: {image: x}"),
		with("version: !foo x"), with("version: !!binary eA=="), with("? [a]\n: b"))
	add("unknown", "nmae: abc\n", with("bootstrap: {kepe: []}"), with("resources: {CPUs: 1}"), with("services: [{prt: 1}]"),
		with("zzz: 1"), with("vm: true"), with("\"a\\x00b\": 1"), with("1: x"), with(strings.Repeat("k", 900)+": 1"), with(": 1"))
	add("twice", "name: abc\nname: abd\n", with("resources:\n  no-disk-reserve: true\n  no_disk_reserve: true"), with("extra-data:\n  a: {target: /data/data/a.b}\n  a: {target: /data/data/a.c}"))
	add("name missing", "version: x\n", "name: \"\"\n", "name: null\n", "name: ~\n")
	add("name", "name: a b\n", "name: a:b\n", "name: a/b\n", "name: 'a\\b'\n", "name: ..\n", "name: .\n", "name: -abc\n", "name: ab\n", "name: \"a|b\"\n", "name: caf\u00e9\n",
		"name: "+strings.Repeat("a", 256)+"\n", "name: [abc]\n", "name: {a: b}\n", "name: true\n",
		"name: a<b\n", "name: a>b\n", "name: 'a\"b'\n", "name: a?b\n", "name: a*b\n")
	add("version", with("version: "+strings.Repeat("é", 51)), with("version: [1]"))
	add("cpus", with("resources: {cpus: 0}"), with("resources: {cpus: -1}"), with("resources: {cpus: 2.0}"), with(`resources: {cpus: "2"}`),
		with("resources: {cpus: 1e3}"), with("resources: {cpus: 99999999999999999999}"), with("resources: {cpus: 0x2}"), with("resources: {cpus: 010}"), with("resources: {cpus: [2]}"), with("resources: 4"))
	for _, size := range []string{"3", "3gb", "3GiB", "3 GB", "-3GB", "0.5GB", "NaN", "9999999999GB", "2GB", "0GB", "''", "[3GB]"} {
		add("memory "+size, with("resources: {memory: "+size+"}"))
	}
	add("disk", with("resources: {disk-size: 3071MB}"))
	add("slots", with("resources: {gpu-slots: -1}"), with("resources: {vpu-slots: 1.5}"), with("resources: {gpu-type: matrox}"), with("resources: {no-disk-reserve: 1}"))
	add("instance type", with("instance-type: a3.3"))
	add("encoder", with("video-encoder: cpu"), with("video-encoder: GPU"))
	add("image", with("image: a b"), with("image: x"), with("image: /etc/passwd"))
	add("addons", with("addons: ssh"), with("addons: [ssh, ssh]"), with("addons: [a:b:c]"), with("addons: [~]"))
	add("tags", with("tags: foo"), with("tags: [a, a]"), with("tags: ['']"), with("tags: ['a,b']"), with("tags: [[a]]"), with("tags: {a: b}"), with("tags: ["+strings.Repeat("t", 256)+"]"))
	add("boot package", with("boot-package: foo"), with("boot-package: 1a.b"), with("boot-package: a..b"), with("boot-package: a.b."), with("boot-package: 'a.b; rm -rf /'"))
	add("boot activity", with("boot-activity: Main"), with("boot-activity: a.b/.Main"), with("boot-activity: ."))
	add("long names", with("boot-package: a."+strings.Repeat("b", 254)), with("boot-activity: a."+strings.Repeat("b", 254)), with("image: "+strings.Repeat("i", 256)))
	add("permissions", with("required-permissions: [a.b, a.b]"), with("required-permissions: ['*', android.permission.CAMERA]"), with("required-permissions: [camera]"), with("required-permissions: '*'"))
	add("watchdog", with("watchdog: {disabled: 'true'}"), with("watchdog: {disabled: yes}"), with("watchdog: {allowed-packages: [x]}"),
		with("watchdog: {allowed-packages: ['*', a.b]}"), with("watchdog: {allowed-packages: [a.b, a.b]}"), with("watchdog: true"))
	add("service", with("services: [{port: 0, protocols: [tcp]}]"), with("services: [{port: 65536, protocols: [tcp]}]"), with(`services: [{port: "80", protocols: [tcp]}]`),
		with("services: [{name: web}]"), with("services: [{port: 80, protocols: []}]"), with("services: [{port: 80, protocols: [sctp]}]"), with("services: [{port: 80, protocols: [tcp, tcp]}]"),
		with("services: [{port: 80, protocols: tcp}]"),
		with("services:\n- {name: web, port: 80, protocols: [tcp]}\n- {port: 80, protocols: [udp, tcp]}"),
		with("services:\n- {name: web, port: 9000, port-end: 9100, protocols: [udp]}\n- {port: 8000, port-end: 9050, protocols: [udp]}"),
		with("services:\n- {name: web, port: 80, protocols: [tcp]}\n- {name: web, port: 81, protocols: [tcp]}"),
		with("services: [{port: 9100, port-end: 9000, protocols: [tcp]}]"), with("services: [{port: 1, port-end: 70000, protocols: [tcp]}]"), with("services: [{name: 'a b', port: 1, protocols: [tcp]}]"),
		with("services: [{name: "+strings.Repeat("s", 64)+", port: 1, protocols: [tcp]}]"), with("services: [~, 3]"), with("services: {}"))
	for _, target := range []string{"/system/x", "../x", "data/data/a.b", "/data/data/a.b/..", "/data/data/a.b/../../x", "/data/data//a.b", "/data/data/a.b//x", "/data/data/", "/data/data/foo", "/data/app/1x", "/data/data/./a.b", "\"/data/data/a.b/\\x07\""} {
		add("target "+target, with("extra-data: {a.obb: {target: "+target+"}}"))
	}
	add("extra data", with("extra-data: {a: {}}"), with("extra-data: {a/b: {target: /data/data/a.b}}"), with("extra-data: {'..': {target: /data/data/a.b}}"),
		with("extra-data: {'': {target: /data/data/a.b}}"), with("extra-data: [a]"), with("extra-data: {a: /data/data/a.b}"), with("extra-data: {a: {target: [x]}}"))
	add("extra data, too long", with("extra-data: {"+strings.Repeat("n", 256)+": {target: /data/data/a.b}}"),
		with("extra-data: {a: {target: /data/data/a.b/"+strings.Repeat("t", 256)+"}}"), with("extra-data: {a: {target: /data/data/a.b"+strings.Repeat("/t", 2048)+"}}"),
		with("extra-data: {\"a\\nb\": {target: /data/data/a.b}}"))
	for _, owner := range []string{"root", "1:2:3", "'-1:0'", "'a:$(x)'", "'1:'", "Root:root", "'1000000000:0'", "1a:b"} {
		add("owner "+owner, with("extra-data: {a: {target: /data/data/a.b, owner: "+owner+"}}"))
	}
	for _, mode := range []string{"888", "rwx", "'07777'", "0o660", "66"} {
		add("mode "+mode, with("extra-data: {a: {target: /data/data/a.b, permissions: "+mode+"}}"))
	}
	add("hooks", with("hooks: {timeout: 20m}"), with("hooks: {timeout: -1s}"), with("hooks: {timeout: 5}"), with("hooks: {timeout: abc}"), with("hooks: 5m"))
	add("keep", with("bootstrap: {keep: ['[a']}"), with("bootstrap: {keep: [../x]}"), with("bootstrap: {keep: [/abs]}"), with("bootstrap: {keep: ['']}"),
		with(`bootstrap: {keep: ['a\']}`), with("bootstrap: {keep: [a/../../b]}"), with("bootstrap: {keep: x}"),
		with("bootstrap: {keep: [a, a]}"), with("bootstrap: {keep: [\"a\\tb\"]}"), with("bootstrap: {keep: ["+strings.Repeat("k", 4097)+"]}"), with("bootstrap: {keep: ["+strings.Repeat("k,", 1001)+"]}"))
	add("features", with("features: [a b]"), with("features: ['']"), with("features: [x, x]"), with("features: ["+strings.Repeat("f", 256)+"]"))
	add("node selector", with("node-selector: ['a,b']"), with("node-selector: [a, a]"))
	add("abi", with("abi: mips"))
	add("several", "nmae: x\nresources:\n  cpus: 0\n  memory: 3gb\nservices:\n- port: 70000\n  protocols: [sctp]\nhooks: {timeout: 1h}\n")
	return list
}

// keys returns a mapping of n keys.
func keys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: 1\n", i)
	}
	return b.String()
}

// deep returns n mappings inside one another.
func deep(n int) string {
	return strings.Repeat("{a: ", n) + "1" + strings.Repeat("}", n) + "\n"
}

// flow returns n lists inside one another, never closed.
func flow(n int) string { return strings.Repeat("[", n) }
