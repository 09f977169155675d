// Testsum reads the output of "go test -json" and prints what a person wants to
// know: the closing line of each package, failures in full, why tests were
// skipped, and the numbers in the last line. It fails if a test has, or if there
// was none.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

func main() {
	lxd := flag.String("lxd", "", "the packages, separated by commas, that test on a real LXD; they are counted apart")
	again := flag.String("again", "", "a file for the tests on a real LXD that are worth a second try: a package and an expression in each line; it is left empty where anything else has failed")
	flag.Parse()
	if err := run(os.Stdin, os.Stdout, strings.Split(*lxd, ","), *again); err != nil {
		fmt.Fprintln(os.Stderr, "testsum:", err)
		os.Exit(1)
	}
}

// event is a line of "go test -json"; see "go doc test2json".
type event struct {
	Action      string
	Package     string
	ImportPath  string // of a build
	Test        string
	Output      string
	FailedBuild string
}

// count counts tests.
type count struct{ passed, failed, skipped int }

func (c count) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.passed, c.failed, c.skipped)
}

// sum is what was seen so far.
type sum struct {
	out     io.Writer
	output  map[string]*strings.Builder // of tests and packages not yet ended
	builds  map[string]*strings.Builder
	lxd     []string
	all     count
	onLXD   count
	skipped map[string]int             // by the reason
	broken  bool                       // a package failed
	failed  map[string]map[string]bool // the tests that failed, by package
	fault   bool                       // a race, a panic, a time that ran out, a build: no second try
}

func run(in io.Reader, out io.Writer, lxd []string, again string) error {
	s := &sum{out: out, lxd: lxd, failed: map[string]map[string]bool{}, output: map[string]*strings.Builder{}, builds: map[string]*strings.Builder{}, skipped: map[string]int{}}
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			s.line(line)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	err := s.end()
	if again != "" {
		err = errors.Join(err, os.WriteFile(again, []byte(s.again()), 0o600))
	}
	return err
}

// mostAgain is how many tests may get a second try.
const mostAgain = 3

// again returns the failures that are worth a second try: a few tests on a real LXD, which
// on a busy machine can lose what it was told, and nothing else.
func (s *sum) again() string {
	var lines strings.Builder
	n := 0
	for _, pkg := range slices.Sorted(maps.Keys(s.failed)) {
		tests := slices.Sorted(maps.Keys(s.failed[pkg]))
		n += len(tests)
		if s.fault || n > mostAgain || len(tests) == 0 || !slices.Contains(s.lxd, pkg) {
			return ""
		}
		fmt.Fprintf(&lines, "%s ^(%s)$\n", pkg, strings.Join(tests, "|"))
	}
	return lines.String()
}

// line takes one line in. What is no event is shown as it is.
func (s *sum) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil {
		fmt.Fprintf(s.out, "%s\n", strings.TrimSpace(string(line)))
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		s.write(s.output, key, e.Output)
		if e.Test == "" && closing(e.Output) {
			fmt.Fprint(s.out, e.Output)
		}
	case "build-output":
		s.write(s.builds, e.ImportPath, e.Output)
	case "pass", "skip", "fail":
		text := ""
		if b := s.output[key]; b != nil {
			text = b.String()
		}
		delete(s.output, key)
		s.ended(e, text)
	}
}

func (s *sum) write(to map[string]*strings.Builder, key, text string) {
	if to[key] == nil {
		to[key] = &strings.Builder{}
	}
	to[key].WriteString(text)
}

// closing reports whether a line is the last one that "go test" prints of a
// package.
func closing(line string) bool {
	return strings.HasPrefix(line, "ok  \t") || strings.HasPrefix(line, "FAIL\t") || strings.HasPrefix(line, "?   \t")
}

// ended counts a test, and shows what has failed.
func (s *sum) ended(e event, text string) {
	switch {
	case e.Test == "" && e.Action == "fail":
		if b := s.builds[e.FailedBuild]; b != nil {
			fmt.Fprint(s.out, b.String())
		}
		// A panic, a data race or a timeout may show only here.
		for line := range strings.Lines(text) {
			if line != "FAIL\n" && !closing(line) {
				fmt.Fprint(s.out, line)
			}
		}
		s.broken = true
		if s.failed[e.Package] == nil {
			s.failed[e.Package] = map[string]bool{}
		}
		s.fault = s.fault || e.FailedBuild != ""
		s.blame(text)
	case e.Test == "":
	case e.Action == "pass":
		s.count(e.Package, count{passed: 1})
	case e.Action == "skip":
		s.count(e.Package, count{skipped: 1})
		s.skipped[reason(text)]++
	default:
		s.count(e.Package, count{failed: 1})
		fmt.Fprintf(s.out, "FAIL: %s %s\n%s", e.Package, e.Test, text)
		if s.failed[e.Package] == nil {
			s.failed[e.Package] = map[string]bool{}
		}
		top, _, _ := strings.Cut(e.Test, "/")
		s.failed[e.Package][top] = true
		s.blame(text)
	}
}

// blame looks for what no second try makes good.
func (s *sum) blame(text string) {
	for _, bad := range []string{"DATA RACE", "panic:", "fatal error:", "test timed out"} {
		s.fault = s.fault || strings.Contains(text, bad)
	}
}

func (s *sum) count(pkg string, c count) {
	add := func(to *count) {
		to.passed += c.passed
		to.failed += c.failed
		to.skipped += c.skipped
	}
	add(&s.all)
	if slices.Contains(s.lxd, pkg) {
		add(&s.onLXD)
	}
}

// reason finds what a skipped test said.
func reason(text string) string {
	why := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if _, after, ok := strings.Cut(line, ".go:"); ok {
			if _, message, ok := strings.Cut(after, ": "); ok {
				why = message
			}
		}
	}
	return cmp.Or(why, "no reason given")
}

func (s *sum) end() error {
	for _, why := range slices.Sorted(maps.Keys(s.skipped)) {
		fmt.Fprintf(s.out, "skipped %d: %s\n", s.skipped[why], why)
	}
	for _, key := range slices.Sorted(maps.Keys(s.output)) {
		if pkg, test, _ := strings.Cut(key, " "); test != "" {
			fmt.Fprintf(s.out, "FAIL: %s %s did not end\n", pkg, test)
			s.fault = true
			s.count(pkg, count{failed: 1})
		}
	}
	if s.onLXD != (count{}) {
		fmt.Fprintf(s.out, "in the packages tested on a real LXD: %s\n", s.onLXD)
	}
	fmt.Fprintln(s.out, s.all)
	switch {
	case s.all.failed > 0 || s.broken:
		return errors.New("there are failures")
	case s.all.passed == 0:
		return errors.New("no test ran")
	}
	return nil
}
