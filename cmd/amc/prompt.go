package main

import (
	"bufio"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// yes adds the flag that answers questions.
func yes(cmd *cobra.Command, to *bool) {
	cmd.Flags().BoolVarP(to, "yes", "y", false, "do not ask")
}

var errNo = errors.New("stopped, as you said")

// confirm shows what will be removed and asks whether to go on.
func (p *program) confirm(sure bool, what string, list []string) error {
	if sure {
		return nil
	}
	if len(list) > 0 {
		fmt.Fprintf(p.out, "The following %s will be REMOVED:\n  %s\n", what, strings.Join(list, " "))
	}
	ok, err := p.ask("Do you want to continue? [Y/n] ", true)
	if err == nil && !ok {
		err = errNo
	}
	return err
}

// ask asks a question; an empty answer is the one given.
func (p *program) ask(question string, empty bool) (bool, error) {
	fmt.Fprint(p.out, question)
	answer, err := bufio.NewReader(p.in).ReadString('\n')
	if err != nil && answer == "" {
		return false, errors.New("there is nobody to ask; use --yes")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "":
		return empty, nil
	case "y", "yes":
		return true, nil
	}
	return false, nil
}
