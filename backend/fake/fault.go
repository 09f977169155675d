package fake

import (
	"sync"

	"github.com/openams/ams"
)

// fault is what was asked of a verb.
type fault struct {
	fails int // how many calls fail; negative: all
	err   error
	loses int // how many replies are lost; negative: all
	hang  chan struct{}
}

// taken is the part of a fault that befalls one call.
type taken struct {
	err  error
	lost bool
	hang chan struct{}
}

// Fail makes the next n calls of verb fail with err, before they do anything.
// Negative n is all calls, zero ends it.
func (b *Backend) Fail(verb string, n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.fault(verb)
	f.fails, f.err = n, err
}

// Lose makes the next n calls of verb that succeed return ErrUnavailable: the
// work is done and the reply is lost. Negative n is all calls, zero ends it.
func (b *Backend) Lose(verb string, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault(verb).loses = n
}

// Hang makes calls of verb wait, before they do anything, until release is
// called or their context ends.
func (b *Backend) Hang(verb string) (release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.fault(verb)
	if f.hang == nil {
		f.hang = make(chan struct{})
	}
	hang := f.hang
	return sync.OnceFunc(func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if f.hang == hang {
			f.hang = nil
			close(hang)
		}
	})
}

// fault returns the fault of a verb. b.mu is held.
func (b *Backend) fault(verb string) *fault {
	f := b.faults[verb]
	if f == nil {
		f = &fault{}
		b.faults[verb] = f
	}
	return f
}

// takeFault returns what befalls this call of verb. b.mu is held.
func (b *Backend) takeFault(verb string) (t taken) {
	f := b.faults[verb]
	if f == nil {
		return t
	}
	t.hang = f.hang
	if f.fails != 0 {
		t.err = f.err
		f.fails--
		return t
	}
	if f.loses != 0 {
		t.lost = true
		f.loses--
	}
	return t
}

// Trip stops an instance as its watchdog does, which leaves the reason behind.
// Nothing happens if there is none, or if it does not run.
func (b *Backend) Trip(id, reason string) {
	b.interfere(id, func(i *instance) {
		if i.Power != ams.PowerRunning {
			return
		}
		i.log(ams.TripLog, []byte(reason+"\n"), true)
		i.stop()
	})
}

// StopBehindBack stops an instance without anybody having asked for it, as a
// crash inside it does. Nothing happens if there is none.
func (b *Backend) StopBehindBack(id string) {
	b.interfere(id, func(i *instance) { i.stop() })
}

// DeleteBehindBack removes an instance, running or not. Nothing happens if there
// is none.
func (b *Backend) DeleteBehindBack(id string) {
	b.interfere(id, b.removeInstance)
}

// BreakBehindBack turns an instance into one that is half made and can only be
// deleted. Nothing happens if there is none.
func (b *Backend) BreakBehindBack(id string) {
	b.interfere(id, func(i *instance) { i.stop(); i.Power = ams.PowerBroken })
}

func (b *Backend) interfere(id string, change func(*instance)) {
	b.mu.Lock()
	i := b.instances[instanceName(id)]
	if i == nil {
		b.mu.Unlock()
		return
	}
	change(i)
	if b.instances[i.Name] == i {
		b.saveInstance(i)
	}
	b.mu.Unlock()
	b.tell(i.Cluster, i.ID)
}

// Restart is a power cut of all machines: running instances are stopped, work
// under way ends with ErrUnavailable, creations under way leave broken instances
// and watches end.
func (b *Backend) Restart() {
	b.mu.Lock()
	close(b.epoch)
	b.epoch = make(chan struct{})
	for _, i := range b.instances {
		if i.on() && !i.Foreign {
			i.stop()
			b.saveInstance(i)
		}
	}
	b.mu.Unlock()
}

// DeleteImageBehindBack removes an image with all its aliases. Nothing happens if
// there is none.
func (b *Backend) DeleteImageBehindBack(fingerprint string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for name, a := range b.aliases {
		if a.Fingerprint == fingerprint {
			delete(b.aliases, name)
			b.save(record{RemoveAlias: name})
		}
	}
	delete(b.images, fingerprint)
	b.save(record{RemoveImage: fingerprint})
}

// DeleteAliasBehindBack removes an alias and leaves its image. Nothing happens if
// there is none.
func (b *Backend) DeleteAliasBehindBack(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.aliases, name)
	b.save(record{RemoveAlias: name})
}
