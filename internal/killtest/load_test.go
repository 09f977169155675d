package killtest

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/openams/ams"
)

// load is the callers of one life, and what they know of each other's objects.
type load struct {
	*life
	ctx     context.Context
	numbers atomic.Int64

	mu        sync.Mutex
	instances []string
	apps      []string
	versions  []string
	images    []string
	running   []ams.Operation
}

// load begins the load, and waits for what an earlier life has begun.
func (l *life) load(ctx context.Context, s *state) {
	w := &load{life: l, ctx: ctx}
	w.numbers.Store(int64(l.orders.Life) << 20)
	for i := range s.Instances {
		if !s.Instances[i].Base {
			w.instances = append(w.instances, s.Instances[i].ID)
		}
	}
	for _, a := range s.Applications {
		w.apps = append(w.apps, a.ID)
	}
	for _, v := range s.Versions {
		w.versions = append(w.versions, v.ID)
	}
	for _, i := range s.Images {
		w.images = append(w.images, i.ID)
	}
	for _, op := range s.Operations {
		if !op.Done() {
			go w.await(op)
		}
	}
	for range l.orders.Workers {
		r := rand.New(rand.NewPCG(l.rand.Uint64(), l.rand.Uint64()))
		go func() {
			for ctx.Err() == nil {
				w.step(r)
			}
		}()
	}
}

// await reports how an operation ends.
func (w *load) await(op ams.Operation) {
	ended, err := w.Operations.Wait(w.ctx, op.ID)
	if err != nil && !ended.Done() {
		w.wire.send(report{Fault: fmt.Sprintf("waiting for operation %s (%s): %v", op.ID, op.Description, err)})
		return
	}
	w.wire.send(report{Ended: &ended})
}

// request makes a request: it is reported before and after. Mostly the caller
// then waits for what it began.
func (w *load) request(r *rand.Rand, a ask, fn func() (ams.Operation, error)) {
	a.N = int(w.numbers.Add(1))
	w.wire.send(report{Ask: &a})
	op, err := fn()
	if err != nil {
		w.wire.send(report{Answer: &answer{N: a.N, Code: ams.CodeOf(err), Text: err.Error()}})
		return
	}
	if op.ID == "" {
		w.wire.send(report{Answer: &answer{N: a.N}})
		return
	}
	w.wire.send(report{Answer: &answer{N: a.N, Operation: &op}})
	w.know(op)
	if r.IntN(4) == 0 {
		go w.await(op)
	} else {
		w.await(op)
	}
}

// know adds what an operation works on to what may be worked on next.
func (w *load) know(op ams.Operation) {
	w.mu.Lock()
	defer w.mu.Unlock()
	add := func(list *[]string, kind string) {
		for _, id := range op.Resources[kind] {
			if !slices.Contains(*list, id) {
				*list = append(*list, id)
			}
		}
	}
	add(&w.instances, "instance")
	add(&w.apps, "application")
	add(&w.versions, "version")
	add(&w.images, "image")
	w.running = append(w.running, op)
}

// pick returns one of a list, or "".
func (w *load) pick(r *rand.Rand, list *[]string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(*list) == 0 {
		return ""
	}
	return (*list)[r.IntN(len(*list))]
}

// drop is pick, and nobody else picks it again.
func (w *load) drop(r *rand.Rand, list *[]string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(*list) == 0 {
		return ""
	}
	i := r.IntN(len(*list))
	id := (*list)[i]
	*list = slices.Delete(*list, i, i+1)
	return id
}

func (w *load) count(list *[]string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(*list)
}

// step makes one request.
func (w *load) step(r *rand.Rand) {
	switch n := r.IntN(100); {
	case w.count(&w.images) == 0 || n < 2:
		w.addImage(r)
	case n < 4 && w.count(&w.images) > 3:
		w.deleteImage(r)
	case w.count(&w.apps) < 2 || n < 8 && w.count(&w.apps) < 5:
		w.create(r)
	case n < 12:
		w.changeApplication(r)
	case n < 16:
		w.cancel(r)
	case n < 45:
		w.launch(r)
	default:
		w.changeInstance(r)
	}
}

func (w *load) addImage(r *rand.Rand) {
	name := fmt.Sprintf("image%08x", r.Uint32())
	w.request(r, ask{What: addImage}, func() (ams.Operation, error) {
		if w.orders.Image == "" {
			return w.Images.Add(w.ctx, name, strings.NewReader(name), ams.ImageOptions{})
		}
		file, err := os.Open(w.orders.Image)
		if err != nil {
			return ams.Operation{}, err
		}
		defer file.Close()
		return w.Images.Add(w.ctx, name, file, ams.ImageOptions{})
	})
}

func (w *load) deleteImage(r *rand.Rand) {
	id := w.drop(r, &w.images)
	w.request(r, ask{What: deleteImage, On: []string{id}}, func() (ams.Operation, error) {
		return w.Images.Delete(w.ctx, id, true)
	})
}

func (w *load) create(r *rand.Rand) {
	name := fmt.Sprintf("app%08x", r.Uint32())
	w.request(r, ask{What: create}, func() (ams.Operation, error) {
		return w.Applications.Create(w.ctx, pack(name, r), ams.CreateOptions{})
	})
}

// pack is a package that differs from all others.
func pack(name string, r *rand.Rand) io.Reader {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for file, content := range map[string]string{
		"manifest.yaml":   fmt.Sprintf("name: %s\nresources: {cpus: 1, memory: 3GB, disk-size: 3GB}\n", name),
		"hooks/pre-start": fmt.Sprintf("#!/bin/sh\nexit 0 # %d\n", r.Uint64()),
	} {
		h := &zip.FileHeader{Name: file, Method: zip.Deflate}
		h.SetMode(0o755)
		if f, err := z.CreateHeader(h); err == nil {
			_, _ = io.WriteString(f, content) // into memory
		}
	}
	_ = z.Close()
	return &b
}

func (w *load) changeApplication(r *rand.Rand) {
	switch r.IntN(6) {
	case 0:
		id := w.drop(r, &w.apps)
		w.request(r, ask{What: deleteApp, On: []string{id}}, func() (ams.Operation, error) {
			return w.Applications.Delete(w.ctx, id, false)
		})
	case 1, 2:
		id := w.pick(r, &w.apps)
		app, err := w.Applications.Get(w.ctx, id)
		if err != nil {
			return
		}
		w.request(r, ask{What: update, On: []string{id}}, func() (ams.Operation, error) {
			if r.IntN(2) == 0 {
				return w.Applications.Set(w.ctx, id, ams.ApplicationPatch{Features: []string{fmt.Sprint("feature", r.Uint32())}})
			}
			return w.Applications.Update(w.ctx, id, pack(app.Name, r), ams.CreateOptions{})
		})
	default:
		id := w.pick(r, &w.versions)
		app, number, ok := strings.Cut(id, "-")
		if !ok {
			return
		}
		n := 0
		_, _ = fmt.Sscan(number, &n) // a number, as we made no other id
		switch r.IntN(3) {
		case 0:
			w.request(r, ask{What: deleteVersion, On: []string{id, app}}, func() (ams.Operation, error) {
				return w.Applications.DeleteVersion(w.ctx, app, n)
			})
		case 1:
			w.request(r, ask{What: publish, On: []string{id}}, func() (ams.Operation, error) {
				return ams.Operation{}, w.Applications.Publish(w.ctx, app, n)
			})
		default:
			w.request(r, ask{What: revoke, On: []string{id}}, func() (ams.Operation, error) {
				return ams.Operation{}, w.Applications.Revoke(w.ctx, app, n)
			})
		}
	}
}

// cancel cancels what was begun lately.
func (w *load) cancel(r *rand.Rand) {
	w.mu.Lock()
	if len(w.running) == 0 {
		w.mu.Unlock()
		return
	}
	op := w.running[max(0, len(w.running)-1-r.IntN(6))]
	w.mu.Unlock()
	a := ask{What: cancel, Operation: op.ID, On: slices.Concat(op.Resources["instance"], op.Resources["version"], op.Resources["image"])}
	if op.Description == create || op.Description == update {
		a.On = append(a.On, op.Resources["application"]...)
	}
	w.request(r, a, func() (ams.Operation, error) {
		return ams.Operation{}, w.Operations.Cancel(w.ctx, op.ID)
	})
}

func (w *load) launch(r *rand.Rand) {
	if w.count(&w.instances) >= w.orders.Most {
		w.deleteInstance(r, w.drop(r, &w.instances))
		return
	}
	req := ams.LaunchRequest{
		Resources: ams.Resources{CPUs: 1, Memory: 3 * ams.Gigabyte},
		NoStart:   r.IntN(4) == 0,
	}
	if r.IntN(3) == 0 {
		req.Services = []ams.Service{{Port: 22, Protocols: []string{"tcp"}}}
	}
	switch source := w.pick(r, &w.instances); {
	case source != "" && r.IntN(6) == 0:
		req.Source = source
	case r.IntN(3) > 0:
		req.Application = w.pick(r, &w.apps)
	default:
		req.Image = w.pick(r, &w.images)
	}
	w.request(r, ask{What: launch, NoStart: req.NoStart, Copy: req.Source != ""}, func() (ams.Operation, error) {
		return w.Instances.Launch(w.ctx, req)
	})
}

func (w *load) changeInstance(r *rand.Rand) {
	id := w.pick(r, &w.instances)
	if id == "" {
		w.launch(r)
		return
	}
	on := []string{id}
	force := r.IntN(3) == 0
	switch r.IntN(5) {
	case 0:
		w.request(r, ask{What: stop, On: on}, func() (ams.Operation, error) { return w.Instances.Stop(w.ctx, id, force) })
	case 1, 2:
		w.request(r, ask{What: start, On: on}, func() (ams.Operation, error) { return w.Instances.Start(w.ctx, id, ams.StartOptions{DropLogs: true}) })
	case 3:
		w.request(r, ask{What: restart, On: on}, func() (ams.Operation, error) { return w.Instances.Restart(w.ctx, id, force) })
	default:
		w.deleteInstance(r, w.drop(r, &w.instances))
	}
}

func (w *load) deleteInstance(r *rand.Rand, id string) {
	if id == "" {
		return
	}
	force := r.IntN(3) == 0
	w.request(r, ask{What: deleteIt, On: []string{id}}, func() (ams.Operation, error) { return w.Instances.Delete(w.ctx, id, force) })
}
