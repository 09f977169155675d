package fake

import (
	"bytes"
	"context"
	"io"
	"maps"
	"slices"

	"github.com/openams/ams"
)

// maxLog is how much of each log is kept: its end.
const maxLog = 1 << 20

// WriteLog appends to a log of an instance, of which the last MiB is kept.
// Nothing happens if there is no such instance.
func (b *Backend) WriteLog(id, name string, data []byte) {
	b.writeLog(id, name, data, false)
}

func (b *Backend) writeLog(id, name string, data []byte, anew bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := b.instances[instanceName(id)]; i != nil {
		i.log(name, data, anew)
		b.saveInstance(i)
	}
}

// log writes to a log, the old one or a new one. Backend.mu is held.
func (i *instance) log(name string, data []byte, anew bool) {
	if i.Logs == nil {
		i.Logs = map[string][]byte{}
	}
	if i.growth == nil {
		i.growth = map[string]growth{}
	}
	old, g := i.Logs[name], i.growth[name]
	if g.generation == 0 {
		g = growth{1, len(old)}
	}
	if anew {
		old, g = nil, growth{g.generation + 1, 0}
	}
	g.written += len(data)
	log := append(slices.Clip(old), data...)
	i.Logs[name], i.growth[name] = log[max(0, len(log)-maxLog):], g
}

// Logs implements ams.LogReader. The list is sorted by name.
func (b *Backend) Logs(ctx context.Context, ref ams.Ref) (files []ams.LogFile, err error) {
	err = b.call(ctx, VerbLogs, ref.ID, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		i, err := b.finds(ref)
		if err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(i.Logs)) {
			files = append(files, ams.LogFile{Name: name, Size: int64(len(i.Logs[name]))})
		}
		return nil
	})
	return files, err
}

// OpenLog implements ams.LogReader.
func (b *Backend) OpenLog(ctx context.Context, ref ams.Ref, name string) (r io.ReadCloser, err error) {
	err = b.call(ctx, VerbOpenLog, ref.ID, func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
		i, err := b.finds(ref)
		if err != nil {
			return err
		}
		log, ok := i.Logs[name]
		if !ok {
			return &ams.Error{Code: ams.ErrNotFound, Kind: "log", ID: name}
		}
		r = io.NopCloser(bytes.NewReader(log))
		return nil
	})
	return r, err
}
