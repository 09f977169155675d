package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/openams/ams"
)

// The files that the child takes in.
const (
	rssPackage = "package.zip"
	rssImage   = "image"
)

// memory is what a process says of itself, in kB.
type memory struct{ Idle, Peak int64 }

// ingestRSS is how much memory it takes to take in a package and an image, both at
// the same time: the most that a process which does only that ever had, less what
// it had when it was ready to begin. Pages of files that the kernel keeps do not
// count. The baseline is what it had when it was ready.
func ingestRSS(ctx context.Context, o options) (result, error) {
	dir, err := os.MkdirTemp("", "ams-bench-")
	if err != nil {
		return result{}, err
	}
	defer os.RemoveAll(dir)
	if err := makePackage(ctx, filepath.Join(dir, rssPackage), o.divide(memberSize), zip.Deflate); err != nil {
		return result{}, err
	}
	if err := makeImage(ctx, filepath.Join(dir, rssImage), o.divide(imageSize)); err != nil {
		return result{}, err
	}
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	var out bytes.Buffer
	child := exec.CommandContext(ctx, self, "-ingest", dir)
	child.Stdout, child.Stderr = &out, os.Stderr
	if err := child.Run(); err != nil {
		return result{}, fmt.Errorf("the process that takes in the files: %w", err)
	}
	var m memory
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		return result{}, err
	}
	idle, above := float64(m.Idle)/1024, float64(m.Peak-m.Idle)/1024
	r := result{Ours: above, Baseline: idle, Unit: "MB", Ratio: above / idle, goal: "ours < 64"}
	if o.quick {
		r.notes = append(r.notes, "QUICK: the files have an eighth of the size that counts")
	}
	r.notes = append(r.notes,
		fmt.Sprintf("memory above that at idle, of a process that takes in a package of %d MB and an image of %d MB at the same time",
			4*o.divide(memberSize)/mega, o.divide(imageSize)/mega),
		fmt.Sprintf("VmRSS when it was ready: %.1f MB; VmHWM at its end: %.1f MB", idle, idle+above))
	return r, nil
}

// ingestAlone is the child: it takes in the files of dir and tells what memory
// that took.
func ingestAlone(ctx context.Context, dir string, w io.Writer) error {
	h, err := openFakeHost(ctx, dir)
	if err != nil {
		return err
	}
	defer h.close()
	var m memory
	if m.Idle, err = ownMemory("VmRSS"); err != nil {
		return err
	}
	err = atATime(2, 2, func(n int) error {
		file, err := os.Open(filepath.Join(dir, []string{rssPackage, rssImage}[n]))
		if err != nil {
			return err
		}
		defer file.Close()
		var op ams.Operation
		if n == 0 {
			op, err = h.Applications.Create(ctx, file, ams.CreateOptions{})
		} else {
			op, err = h.Images.Add(ctx, "large", file, ams.ImageOptions{})
		}
		return h.wait(ctx, op, err)
	})
	if err != nil {
		return err
	}
	if m.Peak, err = ownMemory("VmHWM"); err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(m)
}

// ownMemory returns a number of this process in kB.
func ownMemory(key string) (int64, error) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		}
	}
	return 0, errors.New("/proc/self/status has no " + key)
}
