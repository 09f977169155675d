package api

// Node is a machine of the cluster.
type Node struct {
	Name                 string   `json:"name"`
	Address              string   `json:"address"`
	PublicAddress        string   `json:"public_address"`
	NetworkBridgeMTU     int      `json:"network_bridge_mtu"`
	CPUs                 int      `json:"cpus"`
	CPUAllocationRate    float64  `json:"cpu_allocation_rate"`
	Memory               string   `json:"memory"`
	MemoryAllocationRate float64  `json:"memory_allocation_rate"`
	StatusCode           int      `json:"status_code"` // see NodeCode
	Status               string   `json:"status"`
	IsMaster             bool     `json:"is_master"`
	DiskSize             string   `json:"disk_size"`
	GPUSlots             int      `json:"gpu_slots"`
	GPUEncoderSlots      int      `json:"gpu_encoder_slots"`
	Tags                 []string `json:"tags"`
	Unschedulable        bool     `json:"unschedulable"`
	InstanceTypes        []string `json:"instance_types,omitempty"`
	Architecture         string   `json:"architecture,omitempty"`
	StoragePool          string   `json:"storage_pool"`
	Managed              bool     `json:"managed"`
	GPUs                 []GPU    `json:"gpus"`
	VPUs                 []VPU    `json:"vpus"`
	Entitlements         []string `json:"entitlements,omitempty"`
	// Unscheduable is an old spelling of Unschedulable.
	Unscheduable bool `json:"unscheduable"`

	StatusMessage string `json:"status_message,omitempty"`
	Draining      bool   `json:"draining,omitempty"`
	Subnet        string `json:"subnet,omitempty"`
}

// GPU is a graphics card, numbered from 0 in the order of PCI addresses.
type GPU struct {
	ID           uint                     `json:"id"`
	Type         string                   `json:"type"`
	PCIAddress   string                   `json:"pci_address"`
	RenderName   string                   `json:"render_name"`
	Slots        int                      `json:"slots"`
	EncoderSlots int                      `json:"encoder_slots"`
	Allocations  map[string]GPUAllocation `json:"allocations"` // by instance
	NUMANode     uint                     `json:"numa_node"`
}

// GPUAllocation is what an instance has of a card.
type GPUAllocation struct {
	GPUs         []uint `json:"gpus"`
	Slots        int    `json:"slots"`
	EncoderSlots int    `json:"encoder_slots"`
}

// VPU is a card that codes video.
type VPU struct {
	ID          uint                     `json:"id"`
	Type        string                   `json:"type"`
	Model       string                   `json:"model"`
	NUMANode    uint                     `json:"numa_node"`
	Slots       int                      `json:"slots"`
	Allocations map[string]VPUAllocation `json:"allocations"` // by instance
}

// VPUAllocation is what an instance has of a card.
type VPUAllocation struct {
	IDs   []uint `json:"ids"`
	Slots int    `json:"slots"`
}

// NodesPost adds a node; what is zero is detected, or the default.
type NodesPost struct {
	Name                 string   `json:"name"`
	Address              string   `json:"address"`
	PublicAddress        string   `json:"public_address"`
	TrustPassword        string   `json:"trust_password"`
	NetworkBridgeMTU     int      `json:"network_bridge_mtu"`
	StorageDevice        string   `json:"storage_device"`
	CPUs                 int      `json:"cpus"`
	CPUAllocationRate    float64  `json:"cpu_allocation_rate"`
	Memory               string   `json:"memory"`
	MemoryAllocationRate float64  `json:"memory_allocation_rate"`
	GPUSlots             int      `json:"gpu_slots"`
	GPUEncoderSlots      int      `json:"gpu_encoder_slots"`
	Tags                 []string `json:"tags"`
	Unmanaged            bool     `json:"unmanaged"` // it is in the cluster already
	StoragePool          string   `json:"storage_pool"`
	NetworkName          string   `json:"network_name"`
	NetworkSubnet        string   `json:"network_subnet"`
	TrustToken           string   `json:"trust_token"`
	NetworkACLName       string   `json:"network_acl_name"` // not supported
}

// NodePatch changes a node; what is nil stays.
type NodePatch struct {
	PublicAddress        *string    `json:"public_address"`
	CPUs                 *int       `json:"cpus"`
	CPUAllocationRate    *float64   `json:"cpu_allocation_rate"`
	Memory               *string    `json:"memory"`
	MemoryAllocationRate *float64   `json:"memory_allocation_rate"`
	GPUSlots             *int       `json:"gpu_slots"`
	GPUEncoderSlots      *int       `json:"gpu_encoder_slots"`
	Tags                 *[]string  `json:"tags"`
	Unschedulable        *bool      `json:"unschedulable"`
	GPUs                 []GPUPatch `json:"gpus"`
	Subnet               *string    `json:"subnet"`
	// Unscheduable is an old spelling of Unschedulable.
	Unscheduable *bool `json:"unscheduable"`
	// Drain empties the node: "wait" waits for what runs there to end, "delete"
	// deletes it.
	Drain *string `json:"drain,omitempty"`
}

// GPUPatch changes a card.
type GPUPatch struct {
	ID           uint `json:"id"`
	Slots        *int `json:"slots"`
	EncoderSlots *int `json:"encoder_slots"`
}

// NodeDelete is the body of the removal of a node.
type NodeDelete struct {
	Force         bool `json:"force"`
	KeepInCluster bool `json:"keep_in_cluster"` // leave LXD's cluster as it is
}
