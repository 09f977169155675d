package main

import (
	"errors"
	"fmt"
	"net/http"

	client "github.com/canonical/lxd/client"
	"github.com/canonical/lxd/shared/api"
)

// The names of what is made in the machine's LXD. All of it carries the mark.
const (
	project = "ams-quickstart"
	pool    = "ams-quickstart"
	network = "amsquick"
	// subnet is of the range for benchmarks of networks, which nothing else uses.
	subnet = "198.18.77.1/24"
	mark   = "made by the quickstart example of openams/ams; removed at its end"
)

// sandbox is a corner of LXD that belongs to this program alone.
type sandbox struct{ c client.InstanceServer }

// newSandbox makes project, pool and network, after removing what a run that was
// killed may have left.
func newSandbox(c client.InstanceServer) (*sandbox, error) {
	s := &sandbox{c}
	if err := s.remove(); err != nil {
		return nil, err
	}
	err := c.CreateStoragePool(api.StoragePoolsPost{
		Name: pool, Driver: "dir", StoragePoolPut: api.StoragePoolPut{Description: mark},
	})
	if err == nil {
		err = c.CreateNetwork(api.NetworksPost{
			Name: network, Type: "bridge",
			NetworkPut: api.NetworkPut{Description: mark, Config: map[string]string{"ipv4.address": subnet, "ipv6.address": "none"}},
		})
	}
	if err == nil {
		err = c.CreateProject(api.ProjectsPost{
			Name:       project,
			ProjectPut: api.ProjectPut{Description: mark, Config: map[string]string{"features.images": "true", "features.profiles": "true"}},
		})
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("preparing LXD: %w", err), s.remove())
	}
	return s, nil
}

// remove removes everything, also what a failure has left in the project. It does
// not touch things of the same names that lack the mark.
func (s *sandbox) remove() error {
	p, _, err := s.c.GetProject(project)
	if err = found(err); err == nil && p != nil && p.Name != "" {
		if err = foreign("project", project, p.Description); err == nil {
			err = errors.Join(s.empty(), s.c.DeleteProject(project))
		}
	}
	n, _, nerr := s.c.GetNetwork(network)
	if nerr = found(nerr); nerr == nil && n != nil && n.Name != "" {
		if nerr = foreign("network", network, n.Description); !n.Managed {
			nerr = fmt.Errorf("the network interface %q is left over, perhaps of an LXD that was killed; remove it with: ip link delete %s", network, network)
		}
		if nerr == nil {
			nerr = s.c.DeleteNetwork(network)
		}
	}
	v, _, verr := s.c.GetStoragePool(pool)
	if verr = found(verr); verr == nil && v != nil && v.Name != "" {
		if verr = foreign("storage pool", pool, v.Description); verr == nil {
			verr = s.c.DeleteStoragePool(pool)
		}
	}
	if err := errors.Join(err, nerr, verr); err != nil {
		return fmt.Errorf("cleaning up in LXD: %w", err)
	}
	return nil
}

// empty removes the instances and images of the project.
func (s *sandbox) empty() error {
	c := s.c.UseProject(project)
	names, err := c.GetInstanceNames(api.InstanceTypeAny)
	if err != nil {
		return err
	}
	for _, name := range names {
		// One that is stopped refuses to be stopped; deleting tells.
		if op, err := c.UpdateInstanceState(name, api.InstanceStatePut{Action: "stop", Force: true, Timeout: -1}, ""); err == nil {
			_ = op.Wait()
		}
		op, err := c.DeleteInstance(name)
		if err == nil {
			err = op.Wait()
		}
		if err != nil {
			return err
		}
	}
	images, err := c.GetImageFingerprints()
	if err != nil {
		return err
	}
	for _, fingerprint := range images {
		op, err := c.DeleteImage(fingerprint)
		if err == nil {
			err = op.Wait()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// found returns nil for an error that says that something is not there.
func found(err error) error {
	if api.StatusErrorCheck(err, http.StatusNotFound) {
		return nil
	}
	return err
}

func foreign(kind, name, description string) error {
	if description == mark {
		return nil
	}
	return fmt.Errorf("%s %q is not ours: it lacks the description %q", kind, name, mark)
}
