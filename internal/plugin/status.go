// SPDX-License-Identifier: Apache-2.0

package plugin

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
)

func newStatus(o Options) *cobra.Command {
	return newScreen(o, "status NAME", "Show a service, its release, pods, peering, monitor and last events",
		func(s Screen) any { return s },
		func(w io.Writer, s Screen, now time.Time) {
			writeService(w, s)
			writePods(w, s.Pods, now)
			writePeering(w, s.Peering, now)
			writeEvents(w, s.Events, now)
		})
}

func newPeering(o Options) *cobra.Command {
	return newScreen(o, "peering NAME", "Show what the monitor knows of the gateways' peering",
		func(s Screen) any { return s.Peering },
		func(w io.Writer, s Screen, now time.Time) {
			writePeering(w, s.Peering, now)
			writeConditions(w, s.Peering.Conditions)
		})
}

// newScreen makes a command that reads a service and prints it, as text or as JSON.
func newScreen(o Options, use, short string, pick func(Screen) any, write func(io.Writer, Screen, time.Time)) *cobra.Command {
	var output format
	cmd := &cobra.Command{Use: use, Short: short, Args: oneName, ValidArgsFunction: completeNames(o)}
	output.bind(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := output.check(); err != nil {
			return err
		}
		c, err := o.Connect()
		if err != nil {
			return err
		}
		f, err := gather(contextOf(cmd), c, args[0])
		if err != nil {
			return err
		}
		screen := screenOf(f)
		if output == "json" {
			return writeJSON(o.Out, pick(screen))
		}
		write(o.Out, screen, o.Clock.Now())
		return nil
	}
	return cmd
}

func writeJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return fmt.Errorf("write JSON: %w", err)
	}
	return nil
}

func writeService(w io.Writer, s Screen) {
	version := s.Service.Version
	if s.Service.Reconciled != "" && s.Service.Reconciled != version {
		version += " (" + s.Service.Reconciled + ")"
	}
	fmt.Fprintf(w, "Service   %s/%s: %s, %d of %d gateways ready, version %s\n",
		s.Service.Namespace, s.Service.Name, cmp.Or(s.Service.Phase, "no phase yet"), s.Service.Ready, s.Service.Wanted, version)
	if s.Release != nil {
		fmt.Fprintf(w, "Release   %s, revision %d, chart %s\n", s.Release.Name, s.Release.Revision, s.Release.Chart)
	} else {
		fmt.Fprintln(w, "Release   none")
	}
	writeConditions(w, s.Service.Conditions)
}

func writeConditions(w io.Writer, conditions []metav1.Condition) {
	if len(conditions) == 0 {
		return
	}
	table(w, "CONDITION\tSTATUS\tREASON\tMESSAGE", func(row func(...any)) {
		for _, c := range conditions {
			row(c.Type, c.Status, c.Reason, oneLine(c.Message))
		}
	})
}

func writePods(w io.Writer, pods []PodView, now time.Time) {
	if len(pods) == 0 {
		fmt.Fprintln(w, "\nNo pods.")
		return
	}
	table(w, "POD\tREADY\tSTATE\tRESTARTS\tIP\tNODE\tAGE", func(row func(...any)) {
		for _, p := range pods {
			row(p.Name, p.Ready, p.State, p.Restarts, dash(p.IP), dash(p.Node), age(p.Created, now))
		}
	})
}

func writePeering(w io.Writer, p PeeringScreen, now time.Time) {
	fmt.Fprintf(w, "\nMonitor   %s, peering monitored: %t, healthy: %s (%s)\n", p.Monitor, p.Monitoring, p.Healthy, cmp.Or(p.Reason, "nothing told"))
	switch {
	case p.InProgress:
		fmt.Fprintln(w, "Now       looks at the gateways")
	case p.Pending:
		fmt.Fprintln(w, "Now       waits until the pods are quiet")
	}
	for _, text := range p.Summary {
		fmt.Fprintln(w, "Told      "+oneLine(text))
	}
	if work := p.LastWork; work != nil {
		fmt.Fprintf(w, "Last work %s, %s ago: %d looked at, %d stale peers, %d resets\n",
			work.Result, age(work.Completed, now), work.PodsLookedAt, work.StalePeersFound, work.ResetsDone)
	}
	if len(p.Gateways) > 0 {
		table(w, "GATEWAY\tIP\tPEERING", func(row func(...any)) {
			for _, g := range p.Gateways {
				row(g.Pod, dash(g.IP), oneLine(g.Peering))
			}
		})
	}
	if len(p.Resets) > 0 {
		table(w, "RESET OF\tDOMAIN\tPEERING\tBY\tBEGAN", func(row func(...any)) {
			for _, r := range p.Resets {
				row(r.Pod, r.Domain, r.Peering, r.Strategy, age(r.Began, now))
			}
		})
	}
}

func writeEvents(w io.Writer, events []EventView, now time.Time) {
	if len(events) == 0 {
		fmt.Fprintln(w, "\nNo events.")
		return
	}
	table(w, "LAST\tTYPE\tREASON\tOBJECT\tMESSAGE", func(row func(...any)) {
		for _, e := range events {
			row(age(e.Last, now), e.Type, e.Reason, e.Object, oneLine(e.Message))
		}
	})
}

// table prints an empty line, a header and rows in columns.
func table(w io.Writer, header string, rows func(row func(...any))) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, header)
	rows(func(cells ...any) {
		texts := make([]string, 0, len(cells))
		for _, c := range cells {
			texts = append(texts, fmt.Sprint(c))
		}
		fmt.Fprintln(t, strings.Join(texts, "\t"))
	})
	_ = t.Flush() // a terminal that is gone needs no table
}

func age(t metav1.Time, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return duration.HumanDuration(now.Sub(t.Time))
}

func dash(s string) string { return cmp.Or(s, "-") }

// oneLine keeps a row a row, and control sequences of messages off the terminal.
func oneLine(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)), " ")
}
