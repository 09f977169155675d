package ams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// An image of the image server is fetched when something waits for it: a launch,
// a build, or Images.Sync. However many wait, it is fetched once; when nothing
// waits any more that is broken off.

const (
	fetchLook  = time.Second     // how often it is checked that something still waits
	fetchTell  = 2 * time.Second // how often the progress is told
	fetchTries = 3               // of what the server answers wrongly
)

var errUnwanted = errors.New("nothing waits for the image any more")

// fetchImage fetches the files of a version and imports them.
func (e *engine) fetchImage(ctx context.Context, image *Image, v *ImageVersion) error {
	if wait := v.RetryAt.Sub(e.m.now()); wait > 0 {
		e.wakeAfter(image.wake(), min(wait, fetchLook))
		return e.stillWanted(ctx, image.ID, v.Number)
	}
	fetch, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	f := &fetching{e: e, image: image, number: v.Number, total: max(remoteSize(v.Files), 1)}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		f.watch(fetch, stop)
	}()
	err := f.files(fetch, v)
	if err == nil {
		f.done.Store(f.total)
		err = e.importImage(fetch, image, v)
	}
	if cause := context.Cause(fetch); err != nil && ctx.Err() == nil && cause != nil {
		err = cause
	}
	stop(nil)
	<-watched
	var fault commitError
	switch {
	case err == nil, ctx.Err() != nil, errors.As(err, &fault):
		return err
	case errors.Is(err, errUnwanted):
		return e.unqueueImage(ctx, image.ID, v.Number)
	}
	return e.fetchFailed(ctx, image, v.Number, err)
}

// fetching is one image on its way here.
type fetching struct {
	e      *engine
	image  *Image
	number int
	total  int64
	done   atomic.Int64 // bytes
}

// files fetches what is not here yet, and notes in v where it is.
func (f *fetching) files(ctx context.Context, v *ImageVersion) error {
	m := f.e.m
	if m.cfg.ImageServer == nil {
		return Errorf(ErrUnsupported, "there is no image server")
	}
	if size := Size(f.total); size > m.cfg.MaxImage {
		return Errorf(ErrTooLarge, "the image is %s (maximum %s)", size, m.cfg.MaxImage)
	}
	from, err := m.imageSource(ctx)
	if err != nil {
		return err
	}
	for _, file := range v.Files {
		digest := strings.ToLower(file.SHA256)
		if err := f.file(ctx, from, file, digest); err != nil {
			return err
		}
		if file.Rootfs {
			v.Rootfs = digest
		} else {
			v.Upload = digest
		}
	}
	return nil
}

func (f *fetching) file(ctx context.Context, from ImageSource, file RemoteFile, digest string) error {
	m := f.e.m
	if have, err := m.blobs.Open(ctx, digest); err == nil { // from an earlier try
		f.done.Add(file.Size)
		return have.Close()
	}
	before := f.done.Load()
	r, err := m.cfg.ImageServer.Open(ctx, from, file)
	if err != nil {
		return err
	}
	defer r.Close()
	blob, err := m.blobs.Write(ctx, &counter{io.LimitReader(r, file.Size+1), &f.done})
	if err == nil && (blob.Digest != digest || blob.Size != file.Size) {
		err = Errorf(ErrInvalid, "%s is not what the image server says it is: %d bytes, SHA-256 %s", file.Path, blob.Size, blob.Digest)
	}
	if err != nil {
		f.done.Store(before)
	}
	return err
}

// counter counts what is read through it.
type counter struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// watch tells of the progress, and stops the fetch when nothing waits for it.
func (f *fetching) watch(ctx context.Context, stop context.CancelCauseFunc) {
	told := ""
	since := fetchTell
	for {
		text := fmt.Sprintf("downloading, %d %% of %s", min(f.done.Load()*100/f.total, 100), Size(f.total).round())
		if f.done.Load() >= f.total {
			text = "importing"
		}
		tell := since >= fetchTell && text != told
		wanted, err := f.e.tellFetch(ctx, f.image.ID, f.number, text, tell)
		if err == nil && !wanted {
			stop(errUnwanted)
			return
		}
		if tell && err == nil {
			told, since = text, 0
		}
		if !pause(ctx, fetchLook) {
			return
		}
		since += fetchLook
	}
}

// tellFetch reports whether the version is still to be fetched, and shows the
// progress in it and in what waits for it.
func (e *engine) tellFetch(ctx context.Context, id string, number int, text string, tell bool) (wanted bool, err error) {
	look := func(tx Tx) (Image, []Instance, error) {
		image, err := tx.Images().Get(id)
		if err != nil {
			return image, nil, ignoreNotFound(err)
		}
		v := image.version(number)
		wanted = false
		if v == nil || v.Status != ImageQueued || image.Status == ImageDeleted {
			return image, nil, nil
		}
		waiting, err := imageWaiters(tx, id, number)
		wanted = v.Sync || len(waiting) > 0
		return image, waiting, err
	}
	if !tell {
		err = e.m.view(ctx, func(tx Tx) error {
			_, _, err := look(tx)
			return err
		})
		return wanted, err
	}
	err = e.m.update(ctx, func(c *change) error {
		image, waiting, err := look(c)
		if err != nil || !wanted {
			return err
		}
		image.version(number).StatusMessage = text
		image.UpdatedAt = c.now
		if err := errors.Join(c.progress(image.Operation, text), c.Images().Put(image)); err != nil {
			return err
		}
		for _, in := range waiting {
			in.StatusMessage, in.UpdatedAt = fmt.Sprintf("waiting for image %s: %s", image.Name, text), c.now
			if err := errors.Join(c.progress(in.Operation, in.StatusMessage), c.storeInstance(in)); err != nil {
				return err
			}
		}
		return nil
	})
	return wanted, err
}

// stillWanted takes an image that waits for its next try out of the queue if
// nothing waits for it any more.
func (e *engine) stillWanted(ctx context.Context, id string, number int) error {
	wanted, err := e.tellFetch(ctx, id, number, "", false)
	if err != nil || wanted {
		return err
	}
	return e.unqueueImage(ctx, id, number)
}

// unqueueImage makes a version available again that nothing waits for any more. How
// far its import got cannot be known, so that is undone first.
func (e *engine) unqueueImage(ctx context.Context, id string, number int) error {
	if err := e.undoImport(ctx, id, number); err != nil {
		return err
	}
	return e.m.update(ctx, func(c *change) error {
		image, err := c.Images().Get(id)
		if err != nil || image.Status == ImageDeleted {
			return ignoreNotFound(err)
		}
		v := image.version(number)
		if v == nil || v.Status != ImageQueued {
			return nil
		}
		if waiting, err := imageWaiters(c, id, number); err != nil || v.Sync || len(waiting) > 0 {
			c.wake = append(c.wake, image.wake())
			return err
		}
		v.Status, v.StatusMessage = ImageAvailable, ""
		return c.putImage(&image)
	})
}

// fetchFailed has the fetch tried again later, or gives it up: where the server
// does not answer it is tried as long as something waits, where it answers
// wrongly three times.
func (e *engine) fetchFailed(ctx context.Context, image *Image, number int, failure error) error {
	wrong := 0
	if !errors.Is(failure, ErrUnavailable) {
		wrong = 1
	}
	if slices.Contains([]Code{ErrUnsupported, ErrTooLarge}, CodeOf(failure)) || wrong > 0 && image.version(number).Wrong+wrong >= fetchTries {
		return e.imageDone(ctx, image, number, BackendImage{}, failure)
	}
	e.m.log.Warn("an image cannot be fetched; it will be tried again", "image", image.Name, "error", failure)
	var wait time.Duration
	err := e.m.update(ctx, func(c *change) error {
		row, err := c.Images().Get(image.ID)
		if err != nil {
			return ignoreNotFound(err)
		}
		v := row.version(number)
		if v == nil || v.Status != ImageQueued {
			return nil
		}
		wait = backoff(v.Attempts + 2)
		v.Attempts++
		v.Wrong += wrong
		v.RetryAt = c.now.Add(wait)
		row.UpdatedAt = c.now
		return c.Images().Put(row)
	})
	if err == nil {
		_, err = e.tellFetch(ctx, image.ID, number, "trying again: "+failure.Error(), true)
		e.wakeAfter(image.wake(), min(wait, fetchLook))
	}
	return err
}

func remoteSize(files []RemoteFile) int64 {
	v := RemoteVersion{Files: files}
	return v.Size()
}

// blobs are the digests of the files that a version is made from.
func (v *ImageVersion) blobs() []string {
	digests := []string{v.Upload, v.Rootfs}
	if v.Status == ImageQueued {
		for _, f := range v.Files {
			digests = append(digests, strings.ToLower(f.SHA256))
		}
	}
	return digests
}
