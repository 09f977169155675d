package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

// format adds the flag that says how to print.
func format(cmd *cobra.Command, to *string, def string, formats ...string) {
	cmd.Flags().StringVar(to, "format", def, "how to print: "+strings.Join(formats, ", "))
	complete(cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp)))
	check := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(formats, *to) {
			return fmt.Errorf("--format is %q; it must be %s", *to, strings.Join(formats, ", "))
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
}

// table is a list to print: its columns, and the objects it is made of for the formats
// that carry all of them.
type table struct {
	columns []string
	rows    [][]string
	objects any
}

// print prints a list.
func (p *program) print(t table, format string) error {
	switch format {
	case "table":
		return p.printTable(t)
	case "csv":
		w := csv.NewWriter(p.out)
		return w.WriteAll(t.rows)
	}
	return p.show(t.objects, format)
}

func (p *program) printTable(t table) error {
	w := tabwriter.NewWriter(p.out, 0, 8, 2, ' ', 0)
	lines := append([][]string{t.columns}, t.rows...)
	for _, line := range lines {
		for i, cell := range line {
			end := "\t"
			if i == len(line)-1 {
				end = "\n"
			}
			if cell == "" {
				cell = "-"
			}
			if _, err := fmt.Fprint(w, cell, end); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// show prints an object.
func (p *program) show(object any, format string) error {
	if format == "json" {
		e := json.NewEncoder(p.out)
		e.SetIndent("", "  ")
		e.SetEscapeHTML(false)
		return e.Encode(object)
	}
	e := yaml.NewEncoder(p.out)
	e.SetIndent(2)
	if err := e.Encode(object); err != nil {
		return err
	}
	return e.Close()
}

// line prints one line.
func (p *program) line(text string) error {
	_, err := fmt.Fprintln(p.out, text)
	return err
}
