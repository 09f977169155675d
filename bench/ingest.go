package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/openams/ams"
)

// What goes in, in bytes.
const (
	imageSize       = 4096 * mega
	bzip2MemberSize = 32 * mega
	quickDivisor    = 8
)

// ingest measures how fast a file is taken in: how long the call takes that
// returns when the file is in the blob store, checked, and known to a durable
// store. The baseline is "sha256sum FILE", then "cp FILE COPY", then fsync of the
// copy, one after the other. The file was just read or written, so it need not be
// read from the disk.
type ingest struct {
	dir, file string
	size      float64 // of the file, in MB
	take      func(ctx context.Context, h *host, r io.Reader) (ams.Operation, error)

	sums, copies, quickSums []float64 // seconds of the baseline's parts
	cpu                     [2]time.Duration
}

func (o options) divide(size int64) int64 {
	if o.quick {
		return size / quickDivisor
	}
	return size
}

// ingestPackage takes in a package as "zip -r" makes it.
func ingestPackage(ctx context.Context, o options) (result, error) {
	const about = "a zip of app.apk and three files of extra data, each a quarter; deflated as by zip -r, which saves 8 % of half of it and nothing of the rest"
	r, err := measureIngest(ctx, o, about, takePackage, func(name string) error {
		return makePackage(ctx, name, o.divide(memberSize), zip.Deflate)
	})
	r.goal = "ratio >= 0.7"
	return r, err
}

// ingestStored takes in a package as OpenPackage makes it. It is for information,
// like the two that follow.
func ingestStored(ctx context.Context, o options) (result, error) {
	const about = "a zip of the same files, stored, as by OpenPackage of a directory"
	return measureIngest(ctx, o, about, takePackage, func(name string) error {
		return makePackage(ctx, name, o.divide(memberSize), zip.Store)
	})
}

func ingestBzip2(ctx context.Context, o options) (result, error) {
	var unpack time.Duration
	const about = "a tar.bz2 of the same kind of files"
	r, err := measureIngest(ctx, o, about, takePackage, func(name string) error {
		if err := makeBzip2(ctx, name, o.divide(bzip2MemberSize)); err != nil {
			return err
		}
		began := time.Now()
		defer func() { unpack = time.Since(began) }()
		return exec.CommandContext(ctx, "bzip2", "-t", name).Run()
	})
	r.notes = append(r.notes, fmt.Sprintf("bzip2 -t of it takes %.2f s", unpack.Seconds()))
	return r, err
}

func ingestImage(ctx context.Context, o options) (result, error) {
	const about = "an image, until it is in the blob store; the backend takes it from there"
	add := func(ctx context.Context, h *host, r io.Reader) (ams.Operation, error) {
		return h.Images.Add(ctx, "large", r, ams.ImageOptions{})
	}
	return measureIngest(ctx, o, about, add, func(name string) error { return makeImage(ctx, name, o.divide(imageSize)) })
}

func takePackage(ctx context.Context, h *host, r io.Reader) (ams.Operation, error) {
	return h.Applications.Create(ctx, r, ams.CreateOptions{})
}

// measureIngest makes a file and has it taken in.
func measureIngest(ctx context.Context, o options, about string, take func(context.Context, *host, io.Reader) (ams.Operation, error), create func(name string) error) (result, error) {
	dir, err := os.MkdirTemp("", "ams-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	i := &ingest{dir: dir, file: filepath.Join(dir, "file"), take: take}
	if err := create(i.file); err != nil {
		return result{}, err
	}
	info, err := os.Stat(i.file)
	if err != nil {
		return result{}, err
	}
	i.size = float64(info.Size()) / mega
	const rounds = 3
	ours, base, err := interleave(rounds,
		func() (float64, error) { return i.ours(ctx) },
		func() (float64, error) { return i.byHand(ctx) })
	if err != nil {
		return result{}, err
	}
	r := result{Ours: median(ours), Baseline: median(base), Unit: "MB/s", notes: []string{about}}
	r.Ratio = r.Ours / r.Baseline
	if o.quick {
		r.notes = append(r.notes, "QUICK: the file has an eighth of the size that counts")
	}
	r.notes = append(r.notes,
		fmt.Sprintf("%.0f MB; %d rounds of either, in turn; the ratio is that of the medians", i.size, rounds),
		fmt.Sprintf("MB/s by round: ours     %s", figures(ours)),
		fmt.Sprintf("               baseline %s", figures(base)),
		fmt.Sprintf("seconds of the baseline: sha256sum %s, cp and fsync %s", figures(i.sums), figures(i.copies)),
		fmt.Sprintf("CPU seconds each time: ours %.1f, sha256sum and cp %.1f", (i.cpu[0]/rounds).Seconds(), (i.cpu[1]/rounds).Seconds()),
		fmt.Sprintf("with Go's SHA-256 in place of sha256sum (%.2f s) the ratio would be %.2f",
			median(i.quickSums), (median(i.quickSums)+median(i.copies))*r.Ours/i.size))
	return r, nil
}

// ours takes the file in with a Manager and a store of its own, and returns how
// many MB that were per second.
func (i *ingest) ours(ctx context.Context) (float64, error) {
	dir := filepath.Join(i.dir, "host")
	defer os.RemoveAll(dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, err
	}
	h, err := openFakeHost(ctx, dir)
	if err != nil {
		return 0, err
	}
	defer h.close()
	file, err := os.Open(i.file)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	began, used := time.Now(), cpuTime()
	op, err := i.take(ctx, h, file)
	took := time.Since(began).Seconds()
	i.cpu[0] += cpuTime() - used
	return i.size / took, h.wait(ctx, op, err)
}

// byHand is the baseline.
func (i *ingest) byHand(ctx context.Context) (float64, error) {
	target := filepath.Join(i.dir, "copy")
	defer os.Remove(target)
	began := time.Now()
	if err := i.command(ctx, "sha256sum", i.file); err != nil {
		return 0, err
	}
	sum := time.Since(began).Seconds()
	began = time.Now()
	if err := i.command(ctx, "cp", i.file, target); err != nil {
		return 0, err
	}
	if err := syncFile(target); err != nil {
		return 0, err
	}
	copied := time.Since(began).Seconds()
	quick, err := hashFile(i.file)
	i.sums, i.copies, i.quickSums = append(i.sums, sum), append(i.copies, copied), append(i.quickSums, quick)
	return i.size / (sum + copied), err
}

// command runs a command of the baseline.
func (i *ingest) command(ctx context.Context, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	if err := c.Run(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	i.cpu[1] += c.ProcessState.UserTime() + c.ProcessState.SystemTime()
	return nil
}

func syncFile(name string) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

// hashFile returns how many seconds this program takes to hash a file.
func hashFile(name string) (float64, error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	began := time.Now()
	_, err = io.CopyBuffer(struct{ io.Writer }{sha256.New()}, struct{ io.Reader }{file}, make([]byte, mega/4))
	return time.Since(began).Seconds(), err
}
