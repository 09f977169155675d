package ams

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
)

// maxStale is how many nodes of the picture may turn out to be old before all
// rows are read.
const maxStale = 64

// place chooses the node for a demand. The placer's picture may be older than the
// transaction, or be of one that came to nothing: what it names is checked against
// the row, and that nothing fits is believed only of the rows.
func (c *change) place(m *Manager, d *Demand) (string, error) {
	text, err := m.Settings.text(c, "scheduler.strategy")
	if err != nil {
		return "", err
	}
	if m.cfg.Scheduler == nil {
		if err := m.picture(c); err != nil {
			return "", err
		}
		for range maxStale {
			name, ok := m.placer.Place(d, Strategy(text))
			if !ok && d.optional {
				return "", errNoRoom
			}
			if !ok {
				break
			}
			n, err := c.Nodes().Get(name)
			switch {
			case CodeOf(err) == ErrNotFound:
				m.placer.Remove(name)
			case err != nil:
				return "", err
			case n.refuses(d).why == fits:
				return name, nil
			default:
				m.placer.Set(n)
			}
		}
	}
	nodes, err := c.Nodes().List(NodeFilter{}, Page{})
	if err != nil {
		return "", err
	}
	return choose(nodes, d, Strategy(text), m.cfg.Scheduler)
}

// errNoRoom is the answer to an optional demand.
var errNoRoom = Errorf(ErrNoCapacity, "no node has room for it")

// picture gives the placer the node rows, once.
func (m *Manager) picture(tx Tx) error {
	if m.pictured.Load() {
		return nil
	}
	nodes, err := tx.Nodes().List(NodeFilter{}, Page{})
	if err != nil {
		return err
	}
	for i := range nodes {
		m.placer.Set(nodes[i])
	}
	m.pictured.Store(true)
	return nil
}

// forgetNodes brings the picture back to the rows after a transaction that
// changed these nodes came to nothing.
func (m *Manager) forgetNodes(names []string) {
	if len(names) == 0 {
		return
	}
	err := m.view(context.Background(), func(tx Tx) error {
		for _, name := range names {
			n, err := tx.Nodes().Get(name)
			switch {
			case err == nil:
				m.placer.Set(n)
			case CodeOf(err) == ErrNotFound:
				m.placer.Remove(name)
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		m.pictured.Store(false) // read anew when it is needed
	}
}

// Explanation says why a launch would go to a node, or to none.
type Explanation struct {
	Demand   Demand
	Strategy Strategy // empty with a Config.Scheduler
	Node     string   // the node it would go to; empty is none
	Verdicts []Verdict
}

// Explain says what the scheduler thinks of each node for a request, in order of
// name, and which it would take. Nothing is changed and nothing given away. An
// image that has still to be fetched is taken to be there.
//
// Errors: those of Launch, but for ErrNoCapacity and ErrExists.
func (s *Instances) Explain(ctx context.Context, req LaunchRequest) (Explanation, error) {
	m := s.m
	var e Explanation
	if err := req.check(); err != nil {
		return e, err
	}
	err := m.view(ctx, func(tx Tx) error {
		c := &change{Tx: tx, now: m.now(), placer: m.placer}
		in, err := c.resolveLaunch(m, &req)
		if err != nil {
			return err
		}
		if req.Node != "" {
			if _, err := findNode(tx, req.Node); err != nil {
				return err
			}
		}
		nodes, err := tx.Nodes().List(NodeFilter{}, Page{})
		if err != nil {
			return err
		}
		text, err := m.Settings.text(tx, "scheduler.strategy")
		if err != nil {
			return err
		}
		return ignoreNoCapacity(in.withEncoder(func() error {
			d := in.demand()
			d.Node = req.Node
			if req.NoStart {
				d.Charge = in.Resources.stopped()
			}
			e = explain(nodes, &d, Strategy(text), m.cfg.Scheduler)
			if e.Node == "" {
				return Errorf(ErrNoCapacity, "no node")
			}
			return nil
		}))
	})
	return e, err
}

func ignoreNoCapacity(err error) error {
	if CodeOf(err) == ErrNoCapacity {
		return nil
	}
	return err
}

func explain(nodes []Node, d *Demand, strategy Strategy, own Scheduler) Explanation {
	e := Explanation{Demand: *d}
	if own == nil {
		e.Strategy = strategy
	}
	e.Node, _ = choose(nodes, d, strategy, own)
	for i := range nodes {
		score, r := nodes[i].judge(d, strategy, own)
		e.Verdicts = append(e.Verdicts, verdict(&nodes[i], score, r))
	}
	return e
}

// maxShown is how many nodes an explanation lists one by one.
const maxShown = 12

// String is the explanation for people: at most 24 lines of 80 columns, however
// many nodes there are. It names the nodes that fit, best first, or what is
// lacking and where the most of it is.
func (e Explanation) String() string {
	var b strings.Builder
	groups := e.groups()
	fit := e.best()
	switch {
	case e.Node != "":
		fmt.Fprintf(&b, "%s goes to node %s\n", e.Demand.Charge, e.Node)
	case len(groups) > 0:
		fmt.Fprintf(&b, "no node can take %s\nlimited by %s\n", e.Demand.Charge, groups[0].limit)
	default:
		fmt.Fprintf(&b, "no node can take %s: there is none\n", e.Demand.Charge)
	}
	for _, v := range fit[:min(len(fit), maxShown)] {
		fmt.Fprintf(&b, "  %-24s score %.3f\n", cutTo(v.Node, 24), v.Score)
	}
	if more := len(fit) - maxShown; more > 0 {
		fmt.Fprintf(&b, "  and %d more that fit\n", more)
	}
	total := len(e.Verdicts)
	for _, g := range groups[:min(len(groups), 24-3-min(len(fit), maxShown))] {
		fmt.Fprintf(&b, "  %-16s %*d of %d nodes  %s\n", g.limit, len(fmt.Sprint(total)), len(g.nodes), total, cutTo(g.detail(), 40))
	}
	return b.String()
}

// best returns the verdicts of the nodes that fit, the highest score first.
func (e *Explanation) best() []Verdict {
	fit := slices.DeleteFunc(slices.Clone(e.Verdicts), func(v Verdict) bool { return !v.Fits })
	slices.SortStableFunc(fit, func(a, b Verdict) int { return cmp.Compare(b.Score, a.Score) })
	return fit
}

// cutTo shortens a text to so many characters.
func cutTo(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
