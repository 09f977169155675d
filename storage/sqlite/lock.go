package sqlite

import (
	"errors"
	"os"
	"syscall"

	"github.com/openams/ams"
)

// lock keeps others off the database file while it is held.
type lock struct{ file *os.File }

// acquireLock takes the lock, or returns ErrInUse if it is taken. The lock file
// is never removed: who removes it may remove the one that another has locked.
func acquireLock(path string) (*lock, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, ams.Errorf(ams.ErrInternal, "lock the database: %w", err)
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case err == nil:
		return &lock{f}, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = ams.Errorf(ams.ErrInUse, "database is open already: %s is locked", path)
	default:
		err = ams.Errorf(ams.ErrInternal, "lock %s: %w", path, err)
	}
	f.Close() // nothing was written
	return nil, err
}

// release gives the lock back.
func (l *lock) release() error { return l.file.Close() }
