// Package apk reads what AMS must know of an Android application package: its
// package name, the activity to start, its version and the processors it runs on.
//
// An APK comes from a user and is not trusted. Every count, size and offset in it
// is checked against the bytes that are there, memory grows with the bytes read and
// not with what the file claims, and nothing of the file but its zip directory and
// its manifest is read. Resources are not resolved and signatures not checked.
package apk

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// The bounds of a file that Read accepts. The largest applications of the shops stay
// under a quarter of each.
const (
	maxDirectory = 8 << 20 // bytes of the zip directory
	maxEntries   = 65535   // files in the zip; Android's own limit
	maxEntryName = 4096    // bytes of one file's name
	maxManifest  = 4 << 20 // bytes of AndroidManifest.xml, packed or unpacked
)

const manifestName = "AndroidManifest.xml"

// Info is what an APK says of itself.
type Info struct {
	// Package is the application's package name, for example "com.example.game".
	// It is never empty and keeps to Android's rules for package names.
	Package string
	// MainActivity is the full class name of the component that Android's launcher
	// starts: the first enabled activity or activity-alias with one intent filter
	// that has both the action MAIN and the category LAUNCHER. For an alias it is
	// the alias's own name: that is what the launcher starts, and the activity
	// behind it need not be open to others. It is empty if there is none.
	MainActivity string
	// VersionName is the version shown to people. It is empty if the manifest has
	// none or takes it from a resource.
	VersionName string
	// VersionCode is the number that Android compares, with the major part in the
	// upper 32 bits. It is 0 if the manifest has none or takes it from a resource.
	VersionCode int64
	// MinSDK is the lowest Android API level the application runs on, or 0 if the
	// manifest does not give it as a number.
	MinSDK int
	// Permissions lists the permissions the application asks for, each once, in the
	// manifest's order: at most 1000. A name can be any text of up to 1024 bytes.
	Permissions []string
	// ABIs lists, sorted, the processors the application has native libraries for:
	// armeabi, armeabi-v7a, arm64-v8a, x86, x86_64. It is empty for an application
	// without native libraries, which runs on all of them.
	ABIs []string
}

// Read reads the APK of size bytes in r. It never reads more than the zip directory
// (at most 8 MiB) and the manifest (at most 4 MiB). A file that is not an APK, is
// damaged, is a part of a split application or a bundle, or breaks a bound gives an
// error that says so. An error of r itself is wrapped.
func Read(r io.ReaderAt, size int64) (*Info, error) {
	budget := &meter{r: r, left: maxDirectory}
	archive, err := zip.NewReader(budget, size)
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) { // nothing is extracted
		return nil, openError(r, size, err)
	}
	if len(archive.File) > maxEntries {
		return nil, fmt.Errorf("the APK has %d files, more than %d", len(archive.File), maxEntries)
	}

	var manifest *zip.File
	var abis []string
	bundle := false
	for _, f := range archive.File {
		if len(f.Name) > maxEntryName {
			return nil, fmt.Errorf("the APK has a file name of %d bytes, more than %d", len(f.Name), maxEntryName)
		}
		if f.Name == manifestName {
			if manifest != nil {
				return nil, fmt.Errorf("the APK has two files named %s", manifestName)
			}
			manifest = f
		}
		if abi, ok := libraryABI(f.Name); ok && !slices.Contains(abis, abi) {
			abis = append(abis, abi)
		}
		bundle = bundle || bundleFile(f.Name)
	}
	slices.Sort(abis)

	if manifest == nil {
		if bundle {
			return nil, errors.New("Android App Bundles are not supported, build an APK") //nolint:staticcheck // a proper name
		}
		return nil, fmt.Errorf("the APK has no %s", manifestName)
	}
	budget.left = 2 * maxManifest
	data, err := unpack(manifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	info, err := readManifest(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	info.ABIs = abis
	return info, nil
}

// unpack returns the content of a file in the zip, which must fit maxManifest.
func unpack(f *zip.File) ([]byte, error) {
	if max(f.UncompressedSize64, f.CompressedSize64) > maxManifest {
		return nil, fmt.Errorf("larger than %d bytes", maxManifest)
	}
	content, err := f.Open()
	if errors.Is(err, zip.ErrAlgorithm) {
		return nil, fmt.Errorf("uses compression method %d, which is not supported", f.Method)
	}
	if errors.Is(err, zip.ErrFormat) {
		return nil, errors.New("damaged in the zip")
	}
	if err != nil {
		return nil, err
	}
	defer content.Close()

	data, err := io.ReadAll(io.LimitReader(content, maxManifest+1))
	switch {
	case errors.Is(err, zip.ErrFormat): // more bytes than the directory says
		return nil, errors.New("damaged in the zip")
	case errors.Is(err, zip.ErrChecksum):
		return nil, errors.New("checksum mismatch")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("truncated")
	case err != nil:
		return nil, err
	case len(data) > maxManifest:
		return nil, fmt.Errorf("larger than %d bytes", maxManifest)
	}
	return data, nil
}

// openError says why the zip directory of r could not be read.
func openError(r io.ReaderAt, size int64, err error) error {
	if !errors.Is(err, zip.ErrFormat) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read the APK: %w", err)
	}
	if size <= 0 {
		return errors.New("the APK is empty")
	}
	start := make([]byte, 4)
	n, _ := r.ReadAt(start, 0) // a shorter file is told by its bytes
	if bytes.HasPrefix(start[:n], []byte("PK")) {
		return errors.New("the APK is truncated or damaged: it has no valid zip directory at its end")
	}
	return fmt.Errorf("not an APK: the file is not a zip archive (starts with %q)", start[:n])
}

// libraryABI returns the ABI of a native library, by its name lib/<abi>/<file>.so.
func libraryABI(name string) (string, bool) {
	rest, inLib := strings.CutPrefix(name, "lib/")
	abi, file, inABI := strings.Cut(rest, "/")
	if !inLib || !inABI || strings.Contains(file, "/") || !strings.HasSuffix(file, ".so") {
		return "", false
	}
	switch abi {
	case "armeabi", "armeabi-v7a", "arm64-v8a", "x86", "x86_64":
		return abi, true
	}
	return "", false
}

// bundleFile tells a file that only an App Bundle (.aab) or a set of APKs made from
// one (.apks, .xapk) has.
func bundleFile(name string) bool {
	return name == "BundleConfig.pb" || name == "base/manifest/AndroidManifest.xml" ||
		name == "toc.pb" || strings.HasSuffix(name, ".apk")
}

// meter reads from r until left bytes were read, then fails. It bounds what opening
// the zip can read, and so can allocate, whatever its directory claims.
type meter struct {
	r    io.ReaderAt
	left int64
}

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	if int64(len(p)) > m.left {
		return 0, fmt.Errorf("its directory is larger than %d bytes", maxDirectory)
	}
	n, err := m.r.ReadAt(p, off)
	m.left -= int64(n)
	return n, err
}
