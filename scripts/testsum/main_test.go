package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const stream = `{"Action":"start","Package":"x/one"}
{"Action":"run","Package":"x/one","Test":"TestA"}
{"Action":"output","Package":"x/one","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"pass","Package":"x/one","Test":"TestA"}
{"Action":"output","Package":"x/one","Test":"TestB","Output":"    b_test.go:7: missing root\n"}
{"Action":"skip","Package":"x/one","Test":"TestB"}
{"Action":"output","Package":"x/one","Output":"PASS\n"}
{"Action":"output","Package":"x/one","Output":"ok  \tx/one\t0.1s\n"}
{"Action":"pass","Package":"x/one"}
`

func TestPass(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(strings.NewReader(stream), &out, []string{"x/one"}, ""))
	require.Equal(t, `ok  	x/one	0.1s
skipped 1: missing root
in the packages tested on a real LXD: 1 passed, 0 failed, 1 skipped
1 passed, 0 failed, 1 skipped
`, out.String())
}

func TestFail(t *testing.T) {
	for name, c := range map[string]struct{ more, want string }{
		"a test": {
			`{"Action":"output","Package":"x/two","Test":"TestC","Output":"    c_test.go:1: no\n"}
{"Action":"fail","Package":"x/two","Test":"TestC"}
`, "FAIL: x/two TestC\n    c_test.go:1: no\n",
		},
		"a test that does not end": {
			`{"Action":"output","Package":"x/two","Test":"TestC","Output":"=== RUN   TestC\n"}
`, "FAIL: x/two TestC did not end\n",
		},
		"a build": {
			`{"Action":"build-output","ImportPath":"x/two","Output":"two.go:1: syntax error\n"}
{"Action":"fail","Package":"x/two","FailedBuild":"x/two"}
`, "two.go:1: syntax error\n",
		},
		"a panic": {
			`{"Action":"output","Package":"x/two","Output":"panic: oh\n"}
{"Action":"fail","Package":"x/two"}
`, "panic: oh\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			require.Error(t, run(strings.NewReader(stream+c.more), &out, nil, ""))
			require.Contains(t, out.String(), c.want)
		})
	}
	require.Error(t, run(strings.NewReader(""), &strings.Builder{}, nil, ""), "no test at all is no success")
}

// TestAgain has a second try for a test on LXD alone, and for nothing that is no bad luck.
func TestAgain(t *testing.T) {
	fail := func(pkg, test, text string) string {
		return `{"Action":"output","Package":"` + pkg + `","Test":"` + test + `","Output":"` + text + `\n"}
{"Action":"fail","Package":"` + pkg + `","Test":"` + test + `"}
{"Action":"fail","Package":"` + pkg + `"}
`
	}
	for _, c := range []struct{ stream, want string }{
		{fail("x/lxd", "TestA", "no"), "x/lxd ^(TestA)$\n"},
		{fail("x/lxd", "TestA/sub", "no"), "x/lxd ^(TestA)$\n"},
		{fail("x/lxd", "TestA", "WARNING: DATA RACE"), ""},
		{fail("x/lxd", "TestA", "panic: no"), ""},
		{fail("x/other", "TestA", "no"), ""},
		{fail("x/lxd", "TestA", "no") + fail("x/other", "TestB", "no"), ""},
		{`{"Action":"fail","Package":"x/lxd"}` + "\n", ""},
	} {
		name := filepath.Join(t.TempDir(), "again")
		require.Error(t, run(strings.NewReader(c.stream), &strings.Builder{}, []string{"x/lxd"}, name))
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, c.want, string(data), c.stream)
	}
}
