package ams

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMatchHost(t *testing.T) {
	for _, c := range []struct {
		pattern, url string
		want         bool
	}{
		{"*", "http://a.b/", true},
		{"a.b", "http://a.b/", true},
		{"a.b", "http://A.B:80/", true},
		{"a.b", "http://x.a.b/", false},
		{"a.b:443", "https://a.b:443/", true},
		{"a.b:443", "https://a.b:444/", false},
		{".a.b", "http://x.a.b/", true},
		{"*.a.b", "http://x.y.a.b/", true},
		{".a.b", "http://xa.b/", false},
		{"10.0.0.0/8", "http://10.1.2.3:80/", true},
		{"10.0.0.0/8", "http://11.1.2.3/", false},
		{"10.0.0.0/8", "http://ten.example/", false},
		{"::1", "http://[::1]:80/", true},
		{"fd00::/8", "http://[fd00::7]/", true},
	} {
		u, err := url.Parse(c.url)
		require.NoError(t, err)
		require.Equal(t, c.want, matchHost(c.pattern, u), "%s %s", c.pattern, c.url)
	}
}
