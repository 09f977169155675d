#!/bin/bash
# Builds the APKs of this directory from src/ and records what aapt says of every APK
# the tests read. Needs, from Debian 12:
#
#   apt-get install --no-install-recommends aapt android-framework-res unzip
set -euo pipefail
cd "$(dirname "$0")"

framework=/usr/share/android-framework-res/framework-res.apk
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# aapt and aapt2 lay a manifest out differently, so half are made with each.
for name in several native; do
    aapt package -f -M "src/$name/AndroidManifest.xml" -I "$framework" -F "$name.apk"
done
aapt2 compile --dir src/alias/res -o "$work/alias.zip"
aapt2 link --manifest src/alias/AndroidManifest.xml -I "$framework" -o alias.apk "$work/alias.zip"
aapt2 link --manifest src/service/AndroidManifest.xml -I "$framework" -o service.apk

# The tools write a manifest's strings in UTF-16, but other XML in UTF-8.
mkdir -p "$work/res/xml" "$work/utf8"
cp src/several/AndroidManifest.xml "$work/res/xml/manifest.xml"
aapt package -f -M src/several/AndroidManifest.xml --min-sdk-version 19 -S "$work/res" -I "$framework" -F "$work/utf8.apk"
unzip -p "$work/utf8.apk" res/xml/manifest.xml > "$work/utf8/AndroidManifest.xml"
rm -f several-utf8.apk
(cd "$work/utf8" && aapt add "$OLDPWD/several-utf8.apk" AndroidManifest.xml > /dev/null)

for file in lib/{x86_64,x86,arm64-v8a,armeabi,armeabi-v7a,mips}/libgame.so lib/x86/libmore.so; do
    mkdir -p "$work/${file%/*}"
    echo "not a library" > "$work/$file"
    (cd "$work" && aapt add "$OLDPWD/native.apk" "$file" > /dev/null)
done

for file in *.apk; do
    aapt dump badging "$file" > "${file%.apk}.badging"
done
aapt dump badging ../../../examples/apps/hello/package/app.apk > hello.badging
