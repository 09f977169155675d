package ams

import (
	"fmt"
	"slices"
	"strconv"
)

// checkServices checks each service and that no two use the same port or name.
func checkServices(f *manifestFaults, services []Service) {
	if len(services) > maxYAMLItems {
		f.add("services", "", "services has %d items (maximum %d)", len(services), maxYAMLItems)
		return
	}
	names := map[string]int{}
	for i, s := range services {
		at := fmt.Sprintf("services[%d]", i)
		if f.has(at) {
			continue
		}
		s.check(f, at)
		if first, twice := names[s.Name]; twice && s.Name != "" {
			f.add(at+".name", s.Name, "%s.name %s is already used by services[%d]", at, quote(s.Name), first)
		} else {
			names[s.Name] = i
		}
		for j, other := range services[:i] {
			if protocol, port := s.overlap(other); port != 0 {
				f.add(at+".port", strconv.Itoa(port), "%s uses %s:%d already used by services[%d]%s", at, protocol, port, j, other.label())
				break
			}
		}
	}
}

func (s Service) check(f *manifestFaults, at string) {
	if s.Name != "" {
		fault := charsetFault(s.Name, false)
		if fault == "" && len(s.Name) > maxServiceName {
			fault = fmt.Sprintf("longer than %d characters", maxServiceName)
		}
		if fault != "" {
			f.add(at+".name", s.Name, "%s.name %s is not allowed: %s", at, quote(s.Name), fault)
		}
	}
	switch {
	case f.has(at + ".port"):
	case s.Port == 0:
		f.add(at+".port", "", "%s.port is required", at)
	case s.Port < 0 || s.Port > maxPort:
		f.add(at+".port", strconv.Itoa(s.Port), "%s.port %d is out of range (1-%d)", at, s.Port, maxPort)
	}
	switch {
	case s.PortEnd == 0:
	case s.PortEnd < 0 || s.PortEnd > maxPort:
		f.add(at+".port-end", strconv.Itoa(s.PortEnd), "%s.port-end %d is out of range (1-%d)", at, s.PortEnd, maxPort)
	case s.PortEnd < s.Port:
		f.add(at+".port-end", strconv.Itoa(s.PortEnd), "%s.port-end %d is below port %d", at, s.PortEnd, s.Port)
	}
	if len(s.Protocols) == 0 && !f.has(at+".protocols") {
		f.add(at+".protocols", "", "%s.protocols is required: use tcp, udp or both", at)
	}
	f.each(at+".protocols", "protocol", s.Protocols, func(item, protocol string) {
		if protocol != "tcp" && protocol != "udp" {
			f.add(item, protocol, "%s %s not supported: use tcp or udp", item, quote(protocol))
		}
	})
}

// overlap returns the first port that both services use, and its protocol; 0 if none.
func (s Service) overlap(other Service) (protocol string, port int) {
	first := max(s.Port, other.Port)
	if s.Port == 0 || other.Port == 0 || first > min(s.last(), other.last()) {
		return "", 0
	}
	for _, protocol := range s.Protocols {
		if slices.Contains(other.Protocols, protocol) {
			return protocol, first
		}
	}
	return "", 0
}

// last returns the last port of the service.
func (s Service) last() int { return max(s.Port, s.PortEnd) }

// label returns the service's name for a message, if it has one.
func (s Service) label() string {
	if s.Name == "" {
		return ""
	}
	return " (" + quote(s.Name) + ")"
}
