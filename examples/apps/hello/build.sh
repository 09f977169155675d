#!/bin/bash
# Builds package/app.apk from AndroidManifest.xml and src/, and signs it with a
# debug key made on the spot. Needs a JDK and, from Debian 12:
#
#   apt-get install --no-install-recommends aapt apksigner zipalign openjdk-17-jdk-headless
#
# Debian 12 has neither the Android API classes nor a converter from Java to Dalvik
# bytecode. Set ANDROID_JAR and DX_JAR if you have them (android.jar of platform 23
# or later; dx.jar of any Android SDK up to 30); otherwise the two Debian 11 packages
# that carry them are downloaded and unpacked, not installed.
set -euo pipefail
cd "$(dirname "$0")"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# from_debian_11 unpacks the named packages into $work/debian. It asks the mirror that
# the machine uses, but gives apt its own directories, so that the machine's package
# sources stay as they are.
from_debian_11() {
    local mirror
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' | sed 1q)
    if [ -z "$mirror" ]; then
        echo "this machine has no Debian mirror: set ANDROID_JAR and DX_JAR" >&2
        exit 1
    fi
    mkdir -p "$work"/apt/{lists,cache}/partial "$work/debian"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror bullseye main" \
        > "$work/apt/sources.list"
    local options=(
        -qq
        -o "Dir::Etc::SourceList=$work/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
        -o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache"
        -o "APT::Sandbox::User=$(id -un)"
    )
    apt-get "${options[@]}" update
    (cd "$work/apt" && apt-get "${options[@]}" download "$@")
    for deb in "$work"/apt/*.deb; do
        dpkg-deb -x "$deb" "$work/debian"
    done
}

if [ -z "${ANDROID_JAR:-}" ] || [ -z "${DX_JAR:-}" ]; then
    from_debian_11 libandroid-23-java dalvik-exchange
    ANDROID_JAR=$work/debian/usr/share/java/com.android.android-23.jar
    DX_JAR=$work/debian/usr/share/java/com.android.dx.jar
fi

echo "compiling"
mkdir "$work/classes"
javac -nowarn -Xlint:-options -source 8 -target 8 -bootclasspath "$ANDROID_JAR" \
    -d "$work/classes" $(find src -name '*.java')
java -cp "$DX_JAR" com.android.dx.command.Main --dex --min-sdk-version=24 \
    --output="$work/classes.dex" "$work/classes"

echo "packaging"
aapt package -f -M AndroidManifest.xml -I "$ANDROID_JAR" -F "$work/unaligned.apk"
(cd "$work" && aapt add unaligned.apk classes.dex > /dev/null)
zipalign -f 4 "$work/unaligned.apk" "$work/aligned.apk"

echo "signing"
keytool -genkeypair -keystore "$work/debug.p12" -storetype PKCS12 -storepass android \
    -alias debug -dname "CN=Android Debug" -keyalg EC -groupname secp256r1 -validity 10000 > /dev/null
apksigner sign --ks "$work/debug.p12" --ks-pass pass:android --v1-signing-enabled false \
    --v4-signing-enabled false --out package/app.apk "$work/aligned.apk"
apksigner verify package/app.apk
ls -l package/app.apk
