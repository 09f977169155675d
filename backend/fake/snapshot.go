package fake

import (
	"cmp"
	"maps"
	"slices"

	"github.com/openams/ams"
)

// Snapshot is everything that is in the cluster, for leak checks.
type Snapshot struct {
	Instances []InstanceState // sorted by name
	Images    []ImageState    // sorted by fingerprint
}

// InstanceState is an instance as it truly is, its node lost or not.
type InstanceState struct {
	ams.InstanceSpec // empty in a foreign one, but for Node
	Name             string
	Foreign          bool
	Power            ams.Power
	Address          string // the one it has, as against InstanceSpec.Address
	CopyOf           string // the id of the instance it is a copy of
}

// ImageState is an image as it truly is.
type ImageState struct {
	Fingerprint  string
	Cluster      string // the mark; empty in a foreign one
	Architecture string
	Size         int64
	Split        bool     // it is in two files
	PublishedOf  string   // the id of the instance it was made from
	Aliases      []string // sorted
}

// Snapshot returns everything that is in the cluster, foreign things included. It
// is not counted as a call.
func (b *Backend) Snapshot() Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s Snapshot
	for _, name := range slices.Sorted(maps.Keys(b.instances)) {
		i := b.instances[name]
		s.Instances = append(s.Instances, InstanceState{
			InstanceSpec: i.spec(),
			Name:         i.Name,
			Foreign:      i.Foreign,
			Power:        i.Power,
			Address:      i.Address,
			CopyOf:       i.CopyOf,
		})
	}
	aliases := map[string][]string{}
	for _, a := range b.aliases {
		aliases[a.Fingerprint] = append(aliases[a.Fingerprint], a.Name)
	}
	for _, i := range b.images {
		names := aliases[i.Fingerprint]
		slices.Sort(names)
		s.Images = append(s.Images, ImageState{
			Fingerprint:  i.Fingerprint,
			Cluster:      i.Cluster,
			Architecture: i.Architecture,
			Size:         i.Size,
			Split:        i.Split,
			PublishedOf:  i.PublishedOf,
			Aliases:      names,
		})
	}
	slices.SortFunc(s.Images, func(x, y ImageState) int { return cmp.Compare(x.Fingerprint, y.Fingerprint) })
	return s
}

// spec returns what an instance was made and configured with. b.mu is held.
func (i *instance) spec() ams.InstanceSpec {
	return ams.InstanceSpec{
		Ref:         ams.Ref{Cluster: i.Cluster, ID: i.ID, Node: i.Node},
		Attempt:     i.Attempt,
		Fingerprint: i.Fingerprint,
		VM:          i.VM,
		CPUs:        i.CPUs,
		PinCPUs:     i.PinCPUs,
		CPUSet:      i.CPUSet,
		Memory:      i.Memory,
		Disk:        i.Disk,
		GPU:         i.GPU,
		VPU:         i.VPU,
		Address:     i.Fixed,
		Proxies:     slices.Clone(i.Proxies),
		Labels:      maps.Clone(i.Labels),
	}
}

// AddForeignInstance puts a running instance on the first node that carries no
// mark of ours. It panics if the name is taken.
func (b *Backend) AddForeignInstance(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.instances[name] != nil {
		panic("fake: instance name taken: " + name)
	}
	i := &instance{Name: name, Foreign: true, Node: b.nodes[0].Name}
	i.run(b.newAddress(""))
	b.hold(i)
	b.saveInstance(i)
}

// AddForeignImage stores an image that carries no mark of ours, under an alias
// unless that is empty, and returns its fingerprint. An alias that exists moves.
func (b *Backend) AddForeignImage(name string, content []byte) (fingerprint string) {
	img := hashed(content)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.images[img.Fingerprint] == nil {
		b.images[img.Fingerprint] = img
		b.save(record{Image: img})
	}
	if name != "" {
		a := &alias{Name: name, Fingerprint: img.Fingerprint}
		b.aliases[name] = a
		b.save(record{Alias: a})
	}
	return img.Fingerprint
}

// AddImage stores an image as ImportImage does, without delay, faults or being
// counted, and returns its fingerprint: what a test of instances needs.
func (b *Backend) AddImage(cluster, name string, content []byte) (fingerprint string) {
	img := hashed(content)
	img.Cluster = cluster
	b.mu.Lock()
	defer b.mu.Unlock()
	made, _ := b.addImage(img, name)
	return made.Fingerprint
}
