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
	b.mu.Lock()
	defer b.mu.Unlock()
	i := b.instances[instanceName(id)]
	if i == nil {
		return
	}
	if i.Logs == nil {
		i.Logs = map[string][]byte{}
	}
	log := append(slices.Clip(i.Logs[name]), data...)
	i.Logs[name] = log[max(0, len(log)-maxLog):]
	b.saveInstance(i)
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
