// Command pictures draws Grafana dashboards with the data of a Prometheus, for the documentation and to look at what is
// shipped. It reads the dashboards' JSON, evaluates each panel's queries as Grafana would with all variables set to "All",
// lays the panels out on Grafana's grid and has a browser without a screen take the picture. It knows the kinds of panels,
// units and settings that the shipped dashboards have, and says so when it meets another.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/spf13/pflag"
)

// options are the flags.
type options struct {
	prometheus, dashboards, out, work, library, browser, until string
	shown, scrape                                              time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, pflag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var o options
	flags := pflag.NewFlagSet("pictures", pflag.ContinueOnError)
	flags.StringVar(&o.prometheus, "prometheus", "http://127.0.0.1:9090", "address of the Prometheus")
	flags.StringVar(&o.dashboards, "dashboards", "config/grafana/dashboards", "folder with the dashboards")
	flags.StringVar(&o.out, "out", "docs/images", "folder for the pictures")
	flags.StringVar(&o.work, "work", os.TempDir(), "folder for the pages")
	flags.StringVar(&o.library, "uplot", "hack/pictures/node_modules/uplot/dist/uPlot.iife.min.js", "the chart library")
	flags.StringVar(&o.browser, "browser", "chromium", "a Chromium")
	flags.DurationVar(&o.shown, "last", 10*time.Minute, "time that is shown")
	flags.StringVar(&o.until, "until", "", "the end of that time, as RFC 3339; empty: now")
	flags.DurationVar(&o.scrape, "scrape-interval", 2*time.Second, "how often the Prometheus scrapes")
	if err := flags.Parse(args); err != nil {
		return err
	}
	library, err := os.ReadFile(o.library)
	if err != nil {
		return fmt.Errorf("reading the chart library (npm ci --prefix hack/pictures installs it): %w", err)
	}
	client, err := api.NewClient(api.Config{Address: o.prometheus})
	if err != nil {
		return fmt.Errorf("prometheus %s: %w", o.prometheus, err)
	}
	until := time.Now()
	if o.until != "" {
		if until, err = time.Parse(time.RFC3339, o.until); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
	}
	s := &source{api: v1.NewAPI(client), scrape: o.scrape, from: until.Add(-o.shown), to: until}
	paths, err := filepath.Glob(filepath.Join(o.dashboards, "*.json"))
	if err != nil || len(paths) == 0 {
		return fmt.Errorf("no dashboard in %s", o.dashboards)
	}
	for _, path := range paths {
		if err := o.picture(ctx, s, path, string(library)); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// picture draws one dashboard.
func (o *options) picture(ctx context.Context, s *source, path, library string) error {
	d, err := readDashboard(path)
	if err != nil {
		return err
	}
	p, err := lay(ctx, s, d, library)
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := p.write(&text); err != nil {
		return fmt.Errorf("writing the page: %w", err)
	}
	source := filepath.Join(o.work, d.UID+".html")
	if err := os.WriteFile(source, []byte(text.String()), 0o644); err != nil {
		return err
	}
	out := filepath.Join(o.out, d.UID+".png")
	if err := shoot(ctx, o.browser, source, out, p.Width, p.Height); err != nil {
		return err
	}
	size, err := compress(out)
	if err != nil {
		return fmt.Errorf("the picture that the browser made: %w", err)
	}
	fmt.Printf("%s: %d panels, %d KiB\n", out, len(p.Boxes), size>>10)
	for _, title := range p.empty {
		fmt.Printf("  no data: %s\n", title)
	}
	return nil
}
