package arch

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The implementations of the root's interfaces. They import the root and never
// each other; what wires them together lives elsewhere.
var implementations = []string{
	"backend/lxd", "backend/fake", "storage/sqlite", "storage/mem", "guest/android", "simplestreams",
	"metrics", "api", "rest", "client", "aar",
}

// The packages that only tests import.
var testOnly = []string{"amstest", "backend/backendtest", "storage/storagetest", "simplestreams/streamtest", "internal/audit", "internal/lxdtest"}

// What each part must not reach, directly or through others. A path is that of a
// package of the standard library, or of one of this or another module with all
// that is below it.
var forbidden = []struct {
	who  []string
	what []string
	why  string
}{
	{
		[]string{"."},
		append([]string{"net/http", "database/sql", "testing", "flag", "github.com/canonical/lxd", "github.com/mattn/go-sqlite3"}, implementations...),
		"the root is the domain and the engine, and knows no implementation",
	},
	{
		[]string{"storage/mem", "backend/fake"},
		[]string{"net/http", "database/sql", "testing", "github.com/canonical/lxd", "github.com/mattn/go-sqlite3"},
		"a host on the in-memory twins links neither SQLite nor LXD's client nor testing",
	},
	{
		[]string{"storage/sqlite", "guest/android"},
		[]string{"net/http", "testing", "github.com/canonical/lxd"},
		"only backend/lxd talks to LXD",
	},
	{
		[]string{"backend/lxd"},
		[]string{"database/sql", "testing", "github.com/mattn/go-sqlite3"},
		"only storage/sqlite talks to SQLite",
	},
	{
		[]string{"simplestreams"},
		[]string{"database/sql", "testing", "github.com/mattn/go-sqlite3", "github.com/canonical/lxd/client"},
		"of LXD it needs only how a stream is written",
	},
	{[]string{"api"}, []string{"."}, "the wire types stand alone"},
}

func TestForbiddenImports(t *testing.T) {
	for _, p := range goList(t, "./...") {
		for _, rule := range forbidden {
			if !slices.Contains(rule.who, short(p.ImportPath)) {
				continue
			}
			for _, dep := range p.Deps {
				for _, what := range rule.what {
					if dep == what || under(short(dep), what) && short(dep) != dep || under(dep, what) && strings.Contains(what, ".") {
						t.Errorf("%s reaches %s: %s", short(p.ImportPath), dep, rule.why)
					}
				}
			}
		}
	}
}

func TestImplementationsDoNotKnowEachOther(t *testing.T) {
	// Of the packages in internal/, those that are about the domain.
	allowed := map[string][]string{
		"rest":   {"api"},
		"client": {"api"},
		"aar":    {"aar"},
	}
	for _, p := range goList(t, "./...") {
		self := short(p.ImportPath)
		part := partOf(self)
		if part == "" {
			continue
		}
		for _, dep := range p.Deps {
			other := partOf(short(dep))
			if dep != short(dep) && other != "" && other != part && !slices.Contains(allowed[part], other) {
				t.Errorf("%s reaches %s: implementations know the root and not each other", self, short(dep))
			}
		}
	}
}

// TestOnlyMetricsKnowsPrometheus keeps the client library with those who want it.
func TestOnlyMetricsKnowsPrometheus(t *testing.T) {
	knows := 0
	for _, p := range goList(t, "./...") {
		for _, i := range p.Imports {
			switch {
			case !under(i, "github.com/prometheus"):
			case short(p.ImportPath) == "metrics":
				knows++
			default:
				t.Errorf("%s imports %s: only package metrics does", short(p.ImportPath), i)
			}
		}
	}
	require.NotZero(t, knows)
}

// partOf returns the implementation that a package belongs to, or "".
func partOf(path string) string {
	for _, dir := range implementations {
		if under(path, dir) {
			return dir
		}
	}
	return ""
}

// TestNoTestsInProduction follows the imports of everything but tests.
func TestNoTestsInProduction(t *testing.T) {
	for _, p := range goList(t, "./...") {
		if under(short(p.ImportPath), testOnly...) {
			continue
		}
		for _, dep := range p.Deps {
			if dep == "testing" || strings.HasPrefix(dep, "testing/") || strings.HasPrefix(dep, "github.com/stretchr/") || under(short(dep), testOnly...) && dep != short(dep) {
				t.Errorf("%s reaches %s, which is for tests", short(p.ImportPath), dep)
			}
		}
	}
}

// TestHostOnTwins links a host that uses the root with both in-memory twins.
func TestHostOnTwins(t *testing.T) {
	for _, p := range goList(t, "-deps", ".", "./storage/mem", "./backend/fake") {
		require.NotContains(t, []string{"testing", "database/sql", "net/http"}, p.ImportPath)
		require.False(t, strings.HasPrefix(p.ImportPath, "github.com/canonical/"), p.ImportPath)
		require.False(t, strings.HasPrefix(p.ImportPath, "github.com/mattn/"), p.ImportPath)
	}
}

// TestRootDependencies pins what a host gets with the root: all modules and
// packages that are not of Go itself, and those of Go itself that the root or its
// own leaves import.
func TestRootDependencies(t *testing.T) {
	all := goList(t, "-deps", ".")
	var deps []string
	standard := map[string]bool{}
	for _, p := range all {
		if p.Standard {
			standard[p.ImportPath] = true
		}
	}
	for _, p := range all {
		if p.Standard {
			continue
		}
		deps = append(deps, p.ImportPath)
		if p.ImportPath != module && short(p.ImportPath) == p.ImportPath {
			continue // what others import is theirs
		}
		for _, i := range p.Imports {
			if standard[i] {
				deps = append(deps, i)
			}
		}
	}
	slices.Sort(deps)
	golden(t, "root-dependencies.txt", strings.Join(slices.Compact(deps), "\n")+"\n")
}

func TestPackageNames(t *testing.T) {
	for _, p := range goList(t, "./...") {
		for part := range strings.SplitSeq(short(p.ImportPath), "/") {
			require.NotContains(t, []string{"util", "utils", "common", "helper", "helpers", "shared", "types", "models", "misc", "base"}, part,
				"%s: a package is named for what it does", p.ImportPath)
		}
	}
}
