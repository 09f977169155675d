package ams

// What an instance gets where nothing else is said, and the least it can have.
const (
	defaultCPUs   = 2
	defaultMemory = 3 * Gigabyte
	defaultDisk   = 3 * Gigabyte
	defaultVMDisk = 15 * Gigabyte

	minCPUs   = 1
	minMemory = 3 * Gigabyte
	minDisk   = 3 * Gigabyte
)

// InstanceType is a named set of resources.
//
// Deprecated: applications should set resources in their manifest.
type InstanceType struct {
	Name     string
	CPUs     int
	Memory   Size
	DiskSize Size
	GPUSlots int
}

// InstanceTypes returns all instance types, in the order of their size. The
// caller owns the slice.
func InstanceTypes() []InstanceType {
	return []InstanceType{
		{"a2.3", 2, 3 * Gigabyte, 3 * Gigabyte, 0},
		{"a4.3", 4, 3 * Gigabyte, 3 * Gigabyte, 0},
		{"a6.3", 6, 3 * Gigabyte, 3 * Gigabyte, 0},
		{"a8.3", 8, 3 * Gigabyte, 3 * Gigabyte, 0},
		{"a10.3", 10, 3 * Gigabyte, 3 * Gigabyte, 0},
		{"g2.3", 2, 3 * Gigabyte, 3 * Gigabyte, 1},
		{"g4.3", 4, 3 * Gigabyte, 3 * Gigabyte, 1},
		{"g6.3", 6, 3 * Gigabyte, 3 * Gigabyte, 1},
		{"g8.3", 8, 3 * Gigabyte, 3 * Gigabyte, 1},
		{"g10.3", 10, 3 * Gigabyte, 3 * Gigabyte, 1},
	}
}

// LookupInstanceType returns the instance type of that name, and whether there is one.
func LookupInstanceType(name string) (InstanceType, bool) {
	for _, t := range InstanceTypes() {
		if t.Name == name {
			return t, true
		}
	}
	return InstanceType{}, false
}

// Requirements returns what an instance of the application needs, every field set
// except GPUType, which may be empty. Each field of Resources counts before that
// of the instance type, and that before the preset: 2 CPUs, 3GB of memory and 3GB
// of disk, or 15GB of disk for a virtual machine. The instance type is ignored
// when CPUs, memory and disk are all given. No value is below 1 CPU, 3GB and 3GB.
//
// The disk of a virtual machine must also hold its image: the caller, who knows
// the image, raises DiskSize to the image's size.
func (m *Manifest) Requirements(vm bool) Resources {
	r := m.Resources
	preset := InstanceType{CPUs: defaultCPUs, Memory: defaultMemory, DiskSize: defaultDisk}
	if vm {
		preset.DiskSize = defaultVMDisk
	}
	complete := r.CPUs != 0 && r.Memory != 0 && r.DiskSize != 0
	if t, ok := LookupInstanceType(m.InstanceType); ok && !complete {
		preset = t
	}
	if r.CPUs == 0 {
		r.CPUs = preset.CPUs
	}
	if r.Memory == 0 {
		r.Memory = preset.Memory
	}
	if r.DiskSize == 0 {
		r.DiskSize = preset.DiskSize
	}
	r.CPUs = max(r.CPUs, minCPUs)
	r.Memory = max(r.Memory, minMemory)
	r.DiskSize = max(r.DiskSize, minDisk)
	r.GPUSlots = slotsOr(r.GPUSlots, preset.GPUSlots)
	r.VPUSlots = slotsOr(r.VPUSlots, 0)
	return r
}

// slotsOr returns a copy of the given number of slots, or of the preset if none is given.
func slotsOr(given *int, preset int) *int {
	if given != nil {
		preset = max(*given, 0)
	}
	return &preset
}
