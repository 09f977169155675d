package ams

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseService(t *testing.T) {
	for text, want := range map[string]Service{
		"ssh":                {Name: "ssh", Port: 22, Protocols: []string{"tcp"}},
		"+adb":               {Name: "adb", Port: 5559, Protocols: []string{"tcp"}, Expose: true},
		"tcp:22":             {Port: 22, Protocols: []string{"tcp"}},
		"web:tcp:80":         {Name: "web", Port: 80, Protocols: []string{"tcp"}},
		"+tcp,udp:9000-9100": {Port: 9000, PortEnd: 9100, Protocols: []string{"tcp", "udp"}, Expose: true},
	} {
		got, err := ParseService(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "+", "tcp", "tcp:", "tcp:x", "a:b:c:d", ":tcp:80", "tcp:80-", "tcp:80-x", "http"} {
		_, err := ParseService(text)
		require.ErrorIs(t, err, ErrInvalid, text)
	}
}

func TestNodePorts(t *testing.T) {
	n := &Node{Name: "n"}
	both := NodeService{Service: Service{Port: 9000, PortEnd: 9009, Protocols: []string{"tcp", "udp"}}}
	tcp := NodeService{Service: Service{Port: 22, Protocols: []string{"tcp"}}}
	udp := NodeService{Service: Service{Port: 53, Protocols: []string{"udp"}}}
	first := []NodeService{tcp, both, udp}
	require.NoError(t, n.takePorts(first))
	require.Equal(t, []int{10000, 10001, 10000}, []int{first[0].NodePort, first[1].NodePort, first[2].NodePort})
	require.Equal(t, 10010, first[1].NodePortEnd)
	require.Equal(t, Spans{{10000, 10010}}, n.TCPPorts)
	second := []NodeService{tcp}
	require.NoError(t, n.takePorts(second))
	require.Equal(t, 10011, second[0].NodePort)
	n.givePorts(first)
	require.Equal(t, 0, first[1].NodePort)
	require.Equal(t, Spans{{10011, 10011}}, n.TCPPorts)
	require.Empty(t, n.UDPPorts)
	large := []NodeService{tcp, {Service: Service{Port: 1, PortEnd: 2000, Protocols: []string{"tcp"}}}}
	require.ErrorIs(t, n.takePorts(large), ErrNoCapacity)
	require.Equal(t, Spans{{10011, 10011}}, n.TCPPorts, "all or nothing")
	require.Zero(t, large[0].NodePort)
	n.givePorts(second)
	require.Empty(t, n.TCPPorts)
}

// TestSpans compares the set with a plain one, through random changes.
func TestSpans(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var s Spans
	plain := map[int]bool{}
	for range 20_000 {
		n := 1 + rnd.IntN(5)
		if rnd.IntN(2) == 0 {
			low := rnd.IntN(50)
			first, ok := s.gap(n, low, 99)
			want, found := 0, false
			for w := low; w+n-1 <= 99 && !found; w++ {
				found = true
				for i := range n {
					found = found && !plain[w+i]
				}
				want = w
			}
			require.Equal(t, found, ok)
			if ok {
				require.Equal(t, want, first)
				s = s.add(Span{first, first + n - 1})
				for i := range n {
					plain[first+i] = true
				}
			}
		} else {
			first := rnd.IntN(100)
			s = s.remove(Span{first, first + n - 1})
			for i := range n {
				delete(plain, first+i)
			}
		}
		for i, span := range s {
			require.LessOrEqual(t, span.First, span.Last)
			require.True(t, i == 0 || s[i-1].Last < span.First-1, "%v", s)
		}
		total := 0
		for _, span := range s {
			total += span.Last - span.First + 1
		}
		require.Len(t, plain, total)
	}
}

// TestAddressesAreNotUsedAgainAtOnce gives addresses out and takes them back.
func TestAddressesAreNotUsedAgainAtOnce(t *testing.T) {
	n := &Node{Name: "n", Network: "10.77.0.1/28"} // 13 for instances
	require.Equal(t, 13, n.hosts())
	var held []*Instance
	for i := range 13 {
		in := &Instance{ID: fmt.Sprint(i)}
		n.takeHost(in)
		held = append(held, in)
	}
	require.Equal(t, "10.77.0.2", n.address(held[0].Host))
	require.Equal(t, "10.77.0.14", n.address(held[12].Host))
	n.giveHost(held[3])
	n.giveHost(held[7])
	next := &Instance{}
	n.takeHost(next)
	require.Equal(t, "10.77.0.5", n.address(next.Host))
	n.giveHost(next)
	again := &Instance{}
	n.takeHost(again)
	require.Equal(t, "10.77.0.9", n.address(again.Host), "not the one just given back")
}
