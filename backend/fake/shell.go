package fake

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/openams/ams"
)

// logDir is where an instance keeps its logs.
const logDir = "/var/lib/anbox/logs"

// Shell is what Exec runs unless OnExec says otherwise. It knows echo, cat (of
// its input), read (a line of it), true, false, sleep SECONDS, exit N, head -c N
// /dev/zero, mkdir, "stty size" and "sh -c SCRIPT", where a script is such commands separated by semicolons, each
// with an optional ">&2", "> FILE" or ">> FILE"; a FILE in /var/lib/anbox/logs becomes a log
// of the instance, others vanish. $NAME is a variable of the request; there is no
// quoting. Anything else ends with 127, as in a shell.
func (b *Backend) Shell(ctx context.Context, ref ams.Ref, req ams.ExecRequest) (exit int, err error) {
	return b.shell(ctx, ref, req, &terminal{width: req.Width, height: req.Height})
}

func (b *Backend) shell(ctx context.Context, ref ams.Ref, req ams.ExecRequest, t *terminal) (exit int, err error) {
	req = withStreams(req)
	if len(req.Command) != 3 || req.Command[0] != "sh" || req.Command[1] != "-c" {
		return simple(ctx, req, req.Command, req.Stdout, t)
	}
	script := os.Expand(req.Command[2], func(name string) string { return req.Env[name] })
	for _, line := range strings.FieldsFunc(script, func(r rune) bool { return r == ';' || r == '\n' }) {
		command, target, redirected := strings.Cut(line, ">")
		target, adds := strings.CutPrefix(target, ">")
		words, target := strings.Fields(command), strings.TrimSpace(target)
		if len(words) == 0 {
			continue
		}
		out, file := req.Stdout, &bytes.Buffer{}
		switch {
		case redirected && target == "&2":
			out = req.Stderr
		case redirected:
			out = file
		}
		exit, err = simple(ctx, req, words, out, t)
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return exit, err
		}
		if name, ok := strings.CutPrefix(target, logDir+"/"); ok {
			b.writeLog(ref.ID, name, file.Bytes(), !adds)
		}
		if words[0] == "exit" {
			return exit, nil
		}
	}
	return exit, nil
}

// simple runs one command and returns its exit code.
func simple(ctx context.Context, req ams.ExecRequest, words []string, out io.Writer, t *terminal) (exit int, err error) {
	args := words[1:]
	switch path.Base(words[0]) {
	case "true", "mkdir", ":":
		return 0, nil
	case "false":
		return 1, nil
	case "exit":
		if len(args) == 0 {
			return 0, nil
		}
		return strconv.Atoi(args[0])
	case "echo":
		_, err = fmt.Fprintln(out, strings.Join(args, " "))
		return 0, err
	case "cat":
		_, err = io.Copy(out, req.Stdin)
		return 0, err
	case "read":
		for c := make([]byte, 1); c[0] != '\n'; {
			if _, err := io.ReadFull(req.Stdin, c); err != nil {
				return 1, nil
			}
		}
		return 0, ctx.Err()
	case "stty":
		if width, height := t.size(); req.Interactive {
			_, err = fmt.Fprintln(out, height, width)
			return 0, err
		}
		_, err = fmt.Fprintln(req.Stderr, "stty: standard input: not a tty")
		return 1, err
	case "sleep":
		seconds, err := strconv.ParseFloat(strings.Join(args, " "), 64)
		if err != nil {
			return 1, nil
		}
		return 0, sleep(ctx, nil, time.Duration(seconds*float64(time.Second)))
	case "head":
		if len(args) == 3 && args[0] == "-c" && args[2] == "/dev/zero" {
			n, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil {
				return 1, nil
			}
			_, err = io.Copy(out, io.LimitReader(zeros{}, n))
			return 0, err
		}
	}
	_, err = fmt.Fprintf(req.Stderr, "sh: %s: not found\n", words[0])
	return 127, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
