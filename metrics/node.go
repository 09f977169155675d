package metrics

import "github.com/openams/ams"

// nodeStatuses are those of nodes that lists show.
var nodeStatuses = []ams.NodeStatus{ams.NodeInitializing, ams.NodeOnline, ams.NodeOffline}

func (r *scrape) nodes() error {
	nodes, total, err := r.m.Nodes.List(r.ctx, ams.NodeFilter{}, ams.Page{})
	if err != nil {
		return err
	}
	r.add("nodes_total", float64(total))
	per := map[ams.NodeStatus]float64{}
	for i := range nodes {
		per[nodes[i].Status]++
	}
	for _, status := range nodeStatuses {
		r.add("nodes_per_status", per[status], string(status))
	}
	for i := range nodes {
		n := &nodes[i]
		// Not Node.Instances: that has those that stand by in it, and lacks what
		// holds nothing of its node any more.
		count, err := r.count(ams.InstanceFilter{Node: n.Name})
		if err != nil {
			return err
		}
		r.add("instances_per_node_total", count, n.Name)
		r.capacity(n)
		r.cards(n)
	}
	return nil
}

func (r *scrape) capacity(n *ams.Node) {
	total, used := n.Total(), n.Used
	r.add("available_cpu_total", float64(total.CPUs), n.Name)
	r.add("used_cpu_total", float64(used.CPUs), n.Name)
	r.add("available_memory_total", float64(total.Memory), n.Name)
	r.add("used_memory_total", float64(used.Memory), n.Name)
	r.add("disk_bytes", float64(total.Disk), n.Name)
	r.add("disk_used_bytes", float64(used.Disk), n.Name)
	r.add("disk_free_bytes", float64(n.Detected.DiskFree), n.Name)
	for protocol, ports := range map[string]ams.Spans{"tcp": n.TCPPorts, "udp": n.UDPPorts} {
		r.add("ports", ams.LastNodePort-ams.FirstNodePort+1, n.Name, protocol)
		r.add("ports_used", float64(size(ports)), n.Name, protocol)
	}
}

func (r *scrape) cards(n *ams.Node) {
	for i := range n.GPUs {
		g := &n.GPUs[i]
		slots, encoders := n.TotalSlots(g)
		r.add("gpu_slots", float64(slots), n.Name, g.PCIAddress)
		r.add("gpu_slots_used", float64(g.UsedSlots), n.Name, g.PCIAddress)
		r.add("encoder_slots", float64(encoders), n.Name, g.PCIAddress)
		r.add("encoder_slots_used", float64(g.UsedEncoders), n.Name, g.PCIAddress)
	}
	for i := range n.VPUs {
		v := &n.VPUs[i]
		slots := v.Slots
		if v.Gone {
			slots = 0
		}
		r.add("vpu_slots", float64(slots), n.Name, v.PCIAddress)
		r.add("vpu_slots_used", float64(v.UsedSlots), n.Name, v.PCIAddress)
	}
}

// size is how many numbers there are in the set.
func size(s ams.Spans) int {
	n := 0
	for _, span := range s {
		n += span.Last - span.First + 1
	}
	return n
}
