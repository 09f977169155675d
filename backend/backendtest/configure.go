package backendtest

import (
	"github.com/stretchr/testify/require"

	"github.com/openams/ams"
)

// testConfigure changes an instance that is stopped and one that runs.
func testConfigure(e *test) {
	spec := e.spec()
	spec.Proxies = []ams.Proxy{{Protocol: "tcp", Listen: "127.0.0.1", NodePort: 10980, Port: 22, Count: 2}}
	spec.Labels = map[string]string{"name": "one", "tags": "a"}
	e.cleanup(spec.Ref)
	require.NoError(e, e.b.Create(e.ctx, spec), "with all of it at once")

	changes := []func(*ams.InstanceSpec){
		func(*ams.InstanceSpec) {},
		func(s *ams.InstanceSpec) { s.CPUs, s.Memory = 2, 300<<20 },
		func(s *ams.InstanceSpec) { s.CPUSet = "0" },
		func(s *ams.InstanceSpec) { s.CPUSet, s.PinCPUs = "0-0", true },
		func(s *ams.InstanceSpec) { s.CPUSet = "" },
		func(s *ams.InstanceSpec) {
			s.Proxies = append(s.Proxies, ams.Proxy{Protocol: "udp", Listen: "0.0.0.0", NodePort: 10980, Port: 53, Count: 1})
		},
		func(s *ams.InstanceSpec) { s.Proxies = s.Proxies[1:] },
		func(s *ams.InstanceSpec) { s.Labels = map[string]string{"name": "two"} },
		func(s *ams.InstanceSpec) { s.PinCPUs, s.Proxies, s.Labels = false, nil, nil },
	}
	for _, power := range []ams.Power{ams.PowerStopped, ams.PowerRunning} {
		if power == ams.PowerRunning {
			require.NoError(e, e.b.Start(e.ctx, spec.Ref))
		}
		now := spec
		for n, change := range changes {
			change(&now)
			for range 2 {
				require.NoError(e, e.configurer.Configure(e.ctx, now), "change %d of a %s one", n, power)
			}
			require.Equal(e, "attempt-1", e.power(power, spec.Ref).Attempt)
		}
		e.together(4, func() error { return e.configurer.Configure(e.ctx, spec) })
	}
	other := spec
	other.Attempt = "attempt-2"
	require.ErrorIs(e, e.configurer.Configure(e.ctx, other), ams.ErrExists, "of another attempt")
	e.refuses(spec)
	require.NoError(e, e.b.Create(e.ctx, spec), "creating what was configured")
	e.remove(spec.Ref)
	e.Run("Address", e.run(configureAddress))
	e.Run("Ports", e.run(configurePorts))
}

// refuses asks for what cannot be, of an instance that exists and of one that does
// not.
func (e *test) refuses(spec ams.InstanceSpec) {
	good := ams.Proxy{Protocol: "tcp", Listen: "127.0.0.1", NodePort: 10990, Port: 22, Count: 1}
	bad := []func(*ams.InstanceSpec){
		func(s *ams.InstanceSpec) { s.CPUSet = "0-" },
		func(s *ams.InstanceSpec) { s.CPUSet = "a" },
		func(s *ams.InstanceSpec) { s.CPUSet = "3-1" },
		func(s *ams.InstanceSpec) { s.GPU = "card0" },
		func(s *ams.InstanceSpec) { s.VPU = "../x" },
		func(s *ams.InstanceSpec) { s.Address = "::1" },
		func(s *ams.InstanceSpec) { s.Address = "10.0.0" },
		func(s *ams.InstanceSpec) { s.Labels = map[string]string{"A": ""} },
		func(s *ams.InstanceSpec) { s.Proxies = []ams.Proxy{good, good} },
	}
	for _, change := range []func(*ams.Proxy){
		func(p *ams.Proxy) { p.Protocol = "icmp" },
		func(p *ams.Proxy) { p.Listen = "" },
		func(p *ams.Proxy) { p.Listen = "localhost" },
		func(p *ams.Proxy) { p.Count = 0 },
		func(p *ams.Proxy) { p.NodePort = 0 },
		func(p *ams.Proxy) { p.Port = -1 },
		func(p *ams.Proxy) { p.NodePort, p.Count = 65000, 537 },
		func(p *ams.Proxy) { p.Port, p.Count = 2, 65535 },
	} {
		p := good
		change(&p)
		bad = append(bad, func(s *ams.InstanceSpec) { s.Proxies = []ams.Proxy{p} })
	}
	for n, change := range bad {
		wrong := spec
		change(&wrong)
		require.ErrorIs(e, e.configurer.Configure(e.ctx, wrong), ams.ErrInvalid, "bad change %d", n)
		wrong.ID = newID()
		require.ErrorIs(e, e.b.Create(e.ctx, wrong), ams.ErrInvalid, "bad creation %d", n)
		e.absent(wrong.Ref)
	}
}

// configureAddress gives an instance an address, and then another one.
func configureAddress(e *test) {
	if !e.h.Addresses {
		e.Skip("the backend promises no addresses")
	}
	first := e.start()
	second := e.spec()
	e.cleanup(second.Ref)
	e.eventually("an address", func() bool {
		second.Address = e.power(ams.PowerRunning, first.Ref).Address
		return second.Address != ""
	})
	e.remove(first.Ref)
	has := func() {
		require.NoError(e, e.b.Start(e.ctx, second.Ref))
		e.eventually("the address that was chosen", func() bool {
			return e.power(ams.PowerRunning, second.Ref).Address == second.Address
		})
	}
	require.NoError(e, e.b.Create(e.ctx, second))
	has()
	require.Equal(e, second.Address, e.listed(second.Ref).Address)

	// One with the same address cannot start; it can once that is gone.
	third := e.spec()
	third.Address = second.Address
	e.cleanup(third.Ref)
	err := e.b.Create(e.ctx, third)
	if err == nil {
		err = e.b.Start(e.ctx, third.Ref)
	}
	require.ErrorIs(e, err, ams.ErrUnavailable)
	e.remove(second.Ref)
	second = third
	require.NoError(e, e.b.Create(e.ctx, second))
	has()
	require.NoError(e, e.b.Stop(e.ctx, second.Ref, true, 0))
	free := second
	free.Address = ""
	require.NoError(e, e.configurer.Configure(e.ctx, free))
	require.NoError(e, e.b.Start(e.ctx, second.Ref))
	require.NoError(e, e.configurer.Configure(e.ctx, second), "of one that runs")
	require.NoError(e, e.b.Stop(e.ctx, second.Ref, true, 0))
	has()
	e.remove(second.Ref)
}

// configurePorts has two instances that want one port of their node.
func configurePorts(e *test) {
	first := e.start()
	first.Proxies = []ams.Proxy{{Protocol: "tcp", Listen: "127.0.0.1", NodePort: 10970, Port: 22, Count: 3}}
	require.NoError(e, e.configurer.Configure(e.ctx, first))
	second := e.start()
	second.Proxies = []ams.Proxy{{Protocol: "tcp", Listen: "127.0.0.1", NodePort: 10972, Port: 80, Count: 1}}
	require.ErrorIs(e, e.configurer.Configure(e.ctx, second), ams.ErrUnavailable)
	e.power(ams.PowerRunning, second.Ref)
	first.Proxies = nil
	require.NoError(e, e.configurer.Configure(e.ctx, first))
	require.NoError(e, e.configurer.Configure(e.ctx, second), "the port is free again")
	e.remove(first.Ref)
	e.remove(second.Ref)
}
