package ams

import (
	"context"
	"fmt"
	"io"
)

// Exec runs a command inside a started or running instance and returns its exit
// code once it has ended and all its output was written. When ctx ends, the
// command is killed. It is not an operation and leaves no trace in the store.
//
// Errors: ErrInvalid (no command); ErrNotFound; ErrState when the instance does
// not run; ErrUnsupported when the backend cannot; ErrUnavailable.
func (s *Instances) Exec(ctx context.Context, idOrName string, req ExecRequest) (int, error) {
	if len(req.Command) == 0 {
		return 0, Errorf(ErrInvalid, `command must be a list of strings, e.g. ["ls","-l"]`)
	}
	in, err := s.Get(ctx, idOrName)
	if err != nil {
		return 0, err
	}
	if in.Status != InstanceRunning && in.Status != InstanceStarted {
		return 0, instanceState(&in, "is not running")
	}
	x, ok := BackendAs[Execer](s.m.backend)
	if !ok {
		return 0, Errorf(ErrUnsupported, "the backend cannot run commands in instances")
	}
	ref, err := s.ref(ctx, &in)
	if err != nil {
		return 0, err
	}
	return x.Exec(ctx, ref, req)
}

// Logs lists the logs of an instance: of one in status error those that were
// kept when it failed, of any other those it has now.
//
// Errors: ErrNotFound; ErrUnsupported; ErrUnavailable.
func (s *Instances) Logs(ctx context.Context, idOrName string) ([]LogFile, error) {
	in, err := s.Get(ctx, idOrName)
	if err != nil || in.Status == InstanceError || !in.Made {
		return in.Logs, err
	}
	reader, ref, err := s.logReader(ctx, &in)
	if err != nil {
		return nil, err
	}
	return reader.Logs(ctx, ref)
}

// OpenLog returns one of the files that Logs lists. The caller closes it.
//
// Errors: those of Logs, and ErrNotFound for the log.
func (s *Instances) OpenLog(ctx context.Context, idOrName, name string) (io.ReadCloser, error) {
	in, err := s.Get(ctx, idOrName)
	if err != nil {
		return nil, err
	}
	if in.Status == InstanceError || !in.Made {
		return s.m.openLog(ctx, in.Logs, name)
	}
	reader, ref, err := s.logReader(ctx, &in)
	if err != nil {
		return nil, err
	}
	return reader.OpenLog(ctx, ref, name)
}

// FollowLog writes the end of a log of a started or running instance to w, at most
// tail bytes of whole lines, and then what is added to it, until ctx or the
// instance ends. It returns nil then.
//
// Errors: ErrNotFound (instance, log); ErrState when the instance does not run;
// ErrUnsupported; ErrUnavailable; that of w.
func (s *Instances) FollowLog(ctx context.Context, idOrName, name string, tail int64, w io.Writer) error {
	in, err := s.Get(ctx, idOrName)
	if err != nil {
		return err
	}
	if in.Status != InstanceRunning && in.Status != InstanceStarted {
		return instanceState(&in, "is not running")
	}
	follower, ok := BackendAs[LogFollower](s.m.backend)
	if !ok {
		return Errorf(ErrUnsupported, "the backend cannot follow logs")
	}
	ref, err := s.ref(ctx, &in)
	if err != nil {
		return err
	}
	return follower.FollowLog(ctx, ref, name, max(tail, 0), w)
}

// openLog opens a kept log.
func (m *Manager) openLog(ctx context.Context, logs []LogFile, name string) (io.ReadCloser, error) {
	for _, l := range logs {
		if l.Name == name {
			return m.blobs.Open(ctx, l.Digest)
		}
	}
	return nil, notFound("log", name)
}

func (s *Instances) logReader(ctx context.Context, in *Instance) (LogReader, Ref, error) {
	reader, ok := BackendAs[LogReader](s.m.backend)
	if !ok {
		return nil, Ref{}, Errorf(ErrUnsupported, "the backend cannot read logs")
	}
	ref, err := s.ref(ctx, in)
	return reader, ref, err
}

func (s *Instances) ref(ctx context.Context, in *Instance) (Ref, error) {
	if in.Node == "" {
		return Ref{}, &Error{Code: ErrState, Kind: "instance", ID: in.Name, Err: fmt.Errorf("is not placed on a node yet")}
	}
	mark, err := s.m.cluster(ctx)
	return Ref{Cluster: mark, ID: in.ID, Node: in.Node}, err
}
