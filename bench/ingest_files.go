package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
)

// mega is a megabyte, as in ams.Megabyte.
const mega = 1 << 20

// helloAPK is a small application, of which the large one is made.
const helloAPK = "examples/apps/hello/package/app.apk"

// The files of a package: an APK, and three of extra data. Each is a quarter of
// it, so that it is a little more than 2 GB when it is packed.
const memberSize = 544 * mega

var extraFiles = []string{"main.obb", "patch.obb", "maps.obb"}

const packageManifest = `name: bench
resources: {cpus: 1, memory: 3GB, disk-size: 3GB}
extra-data:
  main.obb: {target: /sdcard/Android/obb/org.openams.hello/}
  patch.obb: {target: /sdcard/Android/obb/org.openams.hello/}
  maps.obb: {target: /sdcard/Android/obb/org.openams.hello/}
`

// makePackage makes a package with so many bytes in each file. zip.Deflate gives
// what "zip -r" makes of them, and zip.Store what OpenPackage makes of a directory.
func makePackage(ctx context.Context, name string, size int64, method uint16) error {
	return makeFile(name, func(w io.Writer) error {
		out := zip.NewWriter(w)
		out.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
			return flate.NewWriter(w, flate.HuffmanOnly) // there are no repetitions to find
		})
		member := func(name string, write func(io.Writer) error) error {
			h := &zip.FileHeader{Name: name, Method: method}
			h.SetMode(0o644)
			w, err := out.CreateHeader(h)
			if err == nil {
				err = write(w)
			}
			return err
		}
		err := member("app.apk", func(w io.Writer) error { return writeAPK(ctx, w, size) })
		for i, name := range extraFiles {
			if err == nil {
				err = member("extra-data/"+name, func(w io.Writer) error { return writeRandom(ctx, w, uint64(i+1), size) })
			}
		}
		if err == nil {
			err = member("manifest.yaml", func(w io.Writer) error { _, err := io.WriteString(w, packageManifest); return err })
		}
		return errors.Join(err, out.Close())
	})
}

// makeBzip2 makes the same package as a tar.bz2, with the bzip2 of this machine.
func makeBzip2(ctx context.Context, name string, size int64) error {
	apk := name + ".apk"
	defer os.Remove(apk)
	if err := makeFile(apk, func(w io.Writer) error { return writeAPK(ctx, w, size) }); err != nil {
		return err
	}
	return makeFile(name, func(w io.Writer) error {
		pack := exec.CommandContext(ctx, "bzip2", "-c")
		pack.Stdout, pack.Stderr = w, os.Stderr
		in, err := pack.StdinPipe()
		if err != nil {
			return err
		}
		if err := pack.Start(); err != nil {
			return err
		}
		return errors.Join(writeTar(ctx, in, apk, size), in.Close(), pack.Wait())
	})
}

func writeTar(ctx context.Context, w io.Writer, apk string, size int64) error {
	out := tar.NewWriter(w)
	file, err := os.Open(apk)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil {
		err = out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "app.apk", Mode: 0o644, Size: info.Size()})
	}
	if err == nil {
		_, err = io.Copy(out, file)
	}
	for i, name := range extraFiles {
		if err == nil {
			err = out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "extra-data/" + name, Mode: 0o644, Size: size})
		}
		if err == nil {
			err = writeRandom(ctx, out, uint64(i+1), size)
		}
	}
	if err == nil {
		err = out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "manifest.yaml", Mode: 0o644, Size: int64(len(packageManifest))})
	}
	if err == nil {
		_, err = io.WriteString(out, packageManifest)
	}
	return errors.Join(err, out.Close())
}

// writeAPK writes the small application with size bytes more in its assets.
func writeAPK(ctx context.Context, w io.Writer, size int64) error {
	hello, err := zip.OpenReader(helloAPK)
	if err != nil {
		return err
	}
	defer hello.Close()
	out := zip.NewWriter(w)
	for _, f := range hello.File {
		if err := out.Copy(f); err != nil {
			return err
		}
	}
	data, err := out.CreateHeader(&zip.FileHeader{Name: "assets/data", Method: zip.Store})
	if err == nil {
		err = writeRandom(ctx, data, 0, size)
	}
	return errors.Join(err, out.Close())
}

// makeImage makes a file of size bytes.
func makeImage(ctx context.Context, name string, size int64) error {
	return makeFile(name, func(w io.Writer) error { return writeRandom(ctx, w, 99, size) })
}

// writeRandom writes size bytes that only seed determines. They are like what
// packages are full of, which is compressed already: of half of them nothing can be
// saved by compressing it again, and deflate stores it; of the other half eight
// percent, and deflate does it.
func writeRandom(ctx context.Context, w io.Writer, seed uint64, size int64) error {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	random := rand.NewChaCha8(key)
	var skewed [256]byte // a sixth are zeros
	for b := 43; b < 256; b++ {
		skewed[b] = byte(b)
	}
	buffer := make([]byte, mega)
	for i := 0; size > 0 && ctx.Err() == nil; i++ {
		part := buffer[:min(size, mega)]
		_, _ = random.Read(part) // it never fails
		if i%2 == 0 {
			for j, b := range part {
				part[j] = skewed[b]
			}
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
		size -= int64(len(part))
	}
	return ctx.Err()
}

// makeFile makes a file that is on the disk when it returns.
func makeFile(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	defer file.Close()
	w := bufio.NewWriterSize(file, mega)
	if err := write(w); err != nil {
		return fmt.Errorf("making %s: %w", filepath.Base(name), err)
	}
	return errors.Join(w.Flush(), file.Sync())
}
