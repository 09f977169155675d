package fake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"

	"github.com/openams/ams"
)

const (
	headSize   = 1024    // how much of an image is looked at
	maxContent = 1 << 20 // how much of one is kept
)

// ImportImage implements ams.ImageKeeper. Any bytes are an image, or its root file
// system, but none, and those that begin with "not an image". An image that says
// "architecture: NAME" in its first KiB has that architecture, others "x86_64".
// An image in one file of at most 1 MiB is kept as it is, others are hashed only.
//
// A read of files that never returns is left behind with a goroutine when ctx
// ends.
func (b *Backend) ImportImage(ctx context.Context, cluster, name string, files ams.ImageFiles) (made ams.BackendImage, err error) {
	err = b.call(ctx, VerbImportImage, name, func() error {
		unlock, err := b.lock(ctx, "alias "+name)
		if err != nil {
			return err
		}
		defer unlock()
		var done bool
		b.mu.Lock()
		epoch := b.epoch
		made, done, err = b.ownAlias(cluster, name)
		b.mu.Unlock()
		if done || err != nil {
			return err
		}
		img, err := readImage(ctx, files)
		if err != nil {
			return err
		}
		if err := sleep(ctx, epoch, b.opts.ImportTime); err != nil {
			return err
		}
		img.Cluster = cluster
		b.mu.Lock()
		defer b.mu.Unlock()
		made, err = b.addImage(img, name)
		return err
	})
	return made, err
}

// readImage reads and hashes an image until ctx ends.
func readImage(ctx context.Context, files ams.ImageFiles) (*image, error) {
	if files.Meta == nil {
		return nil, ams.Errorf(ams.ErrInvalid, "image: there is no file")
	}
	type result struct {
		img *image
		err error
	}
	done := make(chan result, 1)
	go func() {
		img, err := hashFiles(ctx, files)
		done <- result{img, err}
	}()
	select {
	case r := <-done:
		return r.img, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func hashFiles(ctx context.Context, files ams.ImageFiles) (*image, error) {
	meta := &kept{}
	hash := sha256.New()
	if err := readFile(ctx, files.Meta, io.MultiWriter(hash, meta), meta); err != nil {
		return nil, err
	}
	img := newImage(meta)
	if files.Rootfs != nil {
		rootfs := &kept{}
		if err := readFile(ctx, files.Rootfs, io.MultiWriter(hash, rootfs), rootfs); err != nil {
			return nil, err
		}
		img.Split, img.Content = true, nil
		img.Size += rootfs.size
	}
	img.Fingerprint = hex.EncodeToString(hash.Sum(nil))
	return img, nil
}

// readFile reads a file into w, which includes k, and checks it.
func readFile(ctx context.Context, r io.Reader, w io.Writer, k *kept) error {
	_, err := io.Copy(w, readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return r.Read(p)
	}))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	if k.size == 0 || bytes.HasPrefix(k.content, []byte("not an image")) {
		return ams.Errorf(ams.ErrInvalid, "this is not an image")
	}
	return nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// kept keeps the beginning of what is written to it.
type kept struct {
	content []byte
	size    int64
}

func (k *kept) Write(p []byte) (int, error) {
	k.content = append(k.content, p[:min(len(p), maxContent-len(k.content))]...)
	k.size += int64(len(p))
	return len(p), nil
}

// newImage returns the image in that file, without a fingerprint.
func newImage(file *kept) *image {
	img := &image{Architecture: "x86_64", Size: file.size}
	if file.size <= maxContent {
		img.Content = file.content
	}
	head := file.content[:min(headSize, len(file.content))]
	if _, after, ok := bytes.Cut(head, []byte("architecture:")); ok {
		if words := bytes.Fields(after); len(words) > 0 {
			img.Architecture = string(bytes.Trim(words[0], `"`))
		}
	}
	return img
}

// hashed returns the image with that content.
func hashed(content []byte) *image {
	file := &kept{}
	_, _ = file.Write(content) // it cannot fail
	img := newImage(file)
	sum := sha256.Sum256(content)
	img.Fingerprint = hex.EncodeToString(sum[:])
	return img
}
