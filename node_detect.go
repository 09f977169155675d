package ams

import "context"

// refreshNodes takes over what the backend reports of its nodes. What an
// operator set stays. A node the backend does not know any more is offline, and
// forgotten once nothing is charged to it.
func (e *engine) refreshNodes(ctx context.Context) error {
	call, cancel := context.WithTimeout(ctx, e.m.cfg.CallTimeout)
	defer cancel()
	infos, err := e.m.backend.Nodes(call)
	if err != nil {
		return err
	}
	return e.m.update(ctx, func(c *change) error {
		rows, err := c.Nodes().List(NodeFilter{}, Page{})
		if err != nil {
			return err
		}
		known := map[string]Node{}
		for _, n := range rows {
			known[n.Name] = n
		}
		for _, info := range infos {
			n, old := known[info.Name]
			delete(known, info.Name)
			if !old {
				n = Node{Name: info.Name, CreatedAt: c.now}
			}
			if n.detect(info) {
				action := string(n.Status)
				if !old {
					action = "created"
				}
				if err := c.putNode(n, action); err != nil {
					return err
				}
			}
		}
		for _, n := range known {
			if n.Instances == 0 {
				c.lifecycle("node", n.Name, "deleted", "")
				err = c.deleteNode(n.Name)
			} else if n.Status != NodeOffline {
				n.Status = NodeOffline
				err = c.putNode(n, string(NodeOffline))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// detect takes over a report and says whether it tells anything new. The free
// space of a disk is news when it moved by a hundredth of the disk.
func (n *Node) detect(info NodeInfo) bool {
	was := *n
	n.Status = NodeOffline
	if info.Online {
		n.Status = NodeOnline
	}
	if info.Online || n.Architecture == "" { // one that is offline tells nothing
		n.Architecture, n.Address, n.VMs, n.Detected = info.Architecture, info.Address, info.VMs, info.Capacity
	}
	if moved := n.Detected.DiskFree - was.Detected.DiskFree; max(moved, -moved) < n.Detected.Disk/100 {
		n.Detected.DiskFree = was.Detected.DiskFree
	}
	return n.Status != was.Status || n.Architecture != was.Architecture || n.Address != was.Address ||
		n.VMs != was.VMs || n.Detected != was.Detected
}
