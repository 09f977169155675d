package ams

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// NodeService is a service of an instance, with the ports of the node that lead to
// it while the instance runs.
type NodeService struct {
	Service
	// NodePort is the first of as many ports of the node as the service has; both
	// protocols have the same. 0 while the instance does not run.
	NodePort    int `json:"node-port,omitempty" yaml:"node-port,omitempty"`
	NodePortEnd int `json:"node-port-end,omitempty" yaml:"node-port-end,omitempty"` // of a range
}

// ParseService reads a service as amc writes it,
// "[+][name:]protocol[,protocol]:port[-end]", where "+" exposes it; or "ssh" or
// "adb", also with a "+", which are "ssh:tcp:22" and "adb:tcp:5559". What it
// returns may still break the rules for services, such as that for ports: a launch
// checks them. The error is ErrInvalid.
func ParseService(s string) (Service, error) {
	text, expose := strings.CutPrefix(s, "+")
	switch text {
	case "ssh":
		return Service{Name: "ssh", Port: 22, Protocols: []string{"tcp"}, Expose: expose}, nil
	case "adb":
		return Service{Name: "adb", Port: 5559, Protocols: []string{"tcp"}, Expose: expose}, nil
	}
	bad := func() (Service, error) {
		return Service{}, Errorf(ErrInvalid, "service %s is not valid: use [+][name:]tcp|udp|tcp,udp:port[-end], ssh or adb", quote(s))
	}
	parts := strings.Split(text, ":")
	v := Service{Expose: expose}
	switch len(parts) {
	case 3:
		v.Name = parts[0]
		if v.Name == "" {
			return bad()
		}
		parts = parts[1:]
	case 2:
	default:
		return bad()
	}
	v.Protocols = strings.Split(parts[0], ",")
	first, last, ranged := strings.Cut(parts[1], "-")
	var err error
	if v.Port, err = strconv.Atoi(first); err != nil {
		return bad()
	}
	if ranged {
		if v.PortEnd, err = strconv.Atoi(last); err != nil {
			return bad()
		}
	}
	return v, nil
}

// size is how many ports the service has.
func (s Service) size() int { return s.last() - s.Port + 1 }

// span is the node's ports of the service.
func (s NodeService) span() Span { return Span{s.NodePort, s.NodePort + s.size() - 1} }

// servicesOf joins the services of an application and of a request, which
// replace those of the same name.
func servicesOf(app, req []Service) []NodeService {
	var list []NodeService
	named := func(s Service) func(Service) bool {
		return func(o Service) bool { return s.Name != "" && o.Name == s.Name }
	}
	for _, s := range app {
		if !slices.ContainsFunc(req, named(s)) {
			list = append(list, NodeService{Service: s})
		}
	}
	for _, s := range req {
		list = append(list, NodeService{Service: s})
	}
	return list
}

// checkJoined checks services that are each right by themselves for two that use
// the same port.
func checkJoined(services []NodeService) error {
	faults := newManifestFaults()
	plain := make([]Service, len(services))
	for i, s := range services {
		plain[i] = s.Service
	}
	checkServices(faults, plain)
	return faults.err()
}

// takePorts gives each of the services that have none ports of the node: the first
// that are free. All get some, or none do.
func (n *Node) takePorts(services []NodeService) error {
	return n.takePortsAbove(services, FirstNodePort)
}

// takePortsAbove is takePorts with a preference for the ports from low on.
func (n *Node) takePortsAbove(services []NodeService, low int) error {
	tcp, udp := n.TCPPorts, n.UDPPorts
	given := []int{}
	for i := range services {
		s := &services[i]
		if s.NodePort != 0 {
			continue
		}
		var taken Spans
		for _, protocol := range s.Protocols {
			if protocol == "tcp" {
				taken = taken.union(tcp)
			} else {
				taken = taken.union(udp)
			}
		}
		port, ok := taken.gap(s.size(), low, LastNodePort)
		if !ok {
			port, ok = taken.gap(s.size(), FirstNodePort, LastNodePort)
		}
		if !ok {
			for _, i := range given {
				services[i].NodePort, services[i].NodePortEnd = 0, 0
			}
			return Errorf(ErrNoCapacity, "node %q has no %d free ports in a row from %d to %d", n.Name, s.size(), FirstNodePort, LastNodePort)
		}
		given = append(given, i)
		s.NodePort, s.NodePortEnd = port, 0
		if s.PortEnd != 0 {
			s.NodePortEnd = port + s.size() - 1
		}
		for _, protocol := range s.Protocols {
			if protocol == "tcp" {
				tcp = tcp.add(s.span())
			} else {
				udp = udp.add(s.span())
			}
		}
	}
	n.TCPPorts, n.UDPPorts = tcp, udp
	return nil
}

// givePorts takes back what takePorts gave.
func (n *Node) givePorts(services []NodeService) {
	for i := range services {
		s := &services[i]
		if s.NodePort == 0 {
			continue
		}
		for _, protocol := range s.Protocols {
			if protocol == "tcp" {
				n.TCPPorts = n.TCPPorts.remove(s.span())
			} else {
				n.UDPPorts = n.UDPPorts.remove(s.span())
			}
		}
		s.NodePort, s.NodePortEnd = 0, 0
	}
}

// proxies is how the backend is told of the services.
func proxies(services []NodeService, n *Node) []Proxy {
	var list []Proxy
	for _, s := range services {
		if s.NodePort == 0 {
			continue
		}
		listen := cmp.Or(n.Address, "127.0.0.1")
		if s.Expose {
			listen = "0.0.0.0" // the public address may be that of a router
		}
		for _, protocol := range s.Protocols {
			list = append(list, Proxy{Protocol: protocol, Listen: listen, NodePort: s.NodePort, Port: s.Port, Count: s.size()})
		}
	}
	return list
}

// Endpoints are where a service can be reached: at the instance's own address,
// and at the node's, as "name:address:port/protocol". A range is "port-end".
func (s NodeService) Endpoints(in *Instance, n *Node) []string {
	node := n.Address
	if s.Expose && n.PublicAddress != "" {
		node = n.PublicAddress
	}
	var list []string
	for _, protocol := range s.Protocols {
		if in.Address != "" {
			list = append(list, endpoint(s.Name, in.Address, s.Port, s.PortEnd, protocol))
		}
		if s.NodePort != 0 {
			list = append(list, endpoint(s.Name, node, s.NodePort, s.NodePortEnd, protocol))
		}
	}
	return list
}

func endpoint(name, address string, port, end int, protocol string) string {
	text := fmt.Sprintf("%s:%d", address, port)
	if end != 0 {
		text += fmt.Sprintf("-%d", end)
	}
	if name != "" {
		text = name + ":" + text
	}
	return text + "/" + protocol
}
