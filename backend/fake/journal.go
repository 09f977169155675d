package fake

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/openams/ams"
)

// record is one change of the cluster's state: a line of the journal.
type record struct {
	Instance       *instance `json:",omitempty"`
	RemoveInstance string    `json:",omitempty"`
	Image          *image    `json:",omitempty"`
	RemoveImage    string    `json:",omitempty"`
	Alias          *alias    `json:",omitempty"`
	RemoveAlias    string    `json:",omitempty"`

	Node       *ams.NodeInfo `json:",omitempty"` // one that has joined
	RemoveNode string        `json:",omitempty"`
}

// openJournal replays the journal and opens it for appending.
func (b *Backend) openJournal(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	cut, end, err := b.replay(f)
	if err == nil && cut {
		err = f.Truncate(end)
	}
	if err != nil {
		f.Close()
		return err
	}
	b.journal = f
	return nil
}

// replay applies the records in r. It returns whether a kill cut the last one,
// and where the last whole one ends.
func (b *Backend) replay(r io.Reader) (cut bool, end int64, err error) {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return len(line) > 0, end, nil
		}
		if err != nil {
			return false, end, err
		}
		var rec record
		if err := json.Unmarshal(line, &rec); err != nil {
			return false, end, ams.Errorf(ams.ErrCorrupt, "at byte %d: %w", end, err)
		}
		b.apply(rec)
		end += int64(len(line))
	}
}

func (b *Backend) apply(rec record) {
	if i := rec.Instance; i != nil {
		b.hold(i)
		if power := i.Power; i.on() {
			i.run(b.newAddress(cmp.Or(i.Address, i.Fixed)))
			i.Power = power
		}
	}
	b.drop(rec.RemoveInstance)
	if rec.Image != nil {
		b.images[rec.Image.Fingerprint] = rec.Image
		b.publishes++
	}
	delete(b.images, rec.RemoveImage)
	if rec.Alias != nil {
		b.aliases[rec.Alias.Name] = rec.Alias
	}
	delete(b.aliases, rec.RemoveAlias)
	if rec.Node != nil {
		b.setNode(*rec.Node)
	}
	b.nodes = slices.DeleteFunc(b.nodes, func(n ams.NodeInfo) bool { return n.Name == rec.RemoveNode })
}

// saveInstance appends an instance's state to the journal. b.mu is held.
func (b *Backend) saveInstance(i *instance) {
	b.save(record{Instance: i})
}

// save appends a record to the journal, if there is one. Once that failed, every
// change fails. b.mu is held.
func (b *Backend) save(rec record) {
	if b.journal == nil {
		return
	}
	line, err := json.Marshal(rec)
	if err == nil {
		_, err = b.journal.Write(append(line, '\n'))
	}
	if err != nil {
		b.broken = ams.Errorf(ams.ErrUnavailable, "writing the fake cluster's state: %w", err)
	}
}
