package peering

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

// errModel is an answer of 500 of a gateway of the model.
var errModel = &datapower.APIError{Status: 500}

// errDead is what calls of a process return that died in the model.
var errDead = errors.New("this process is dead")

// fault is what is wrong with the REST interface of a gateway of the model. Its links work.
type fault string

const (
	fine       fault = "fine"
	hanging    fault = "hanging"
	failing    fault = "failing"
	lying      fault = "lying"      // resets say that they are done
	refusing   fault = "refusing"   // neither actions nor writes
	actionless fault = "actionless" // no action, but writes
	lossy      fault = "lossy"      // actions are done, and their answers are 500
	stubborn   fault = "stubborn"   // no action, and enabling fails several times
	sealed     fault = "sealed"     // no action, and enabling fails for longer than the others wait
)

// healable tells whether a gateway with the fault can be reset.
func (f fault) healable() bool { return f == fine || f == actionless || f == lossy || f.refusals() > 0 }

// actionless tells whether a gateway with the fault offers no action that resets a peering.
func (f fault) actionless() bool { return f == refusing || f == actionless || f.refusals() > 0 }

// refusals is how often a gateway with the fault refuses to be enabled: more often than one reset tries, or than all tries
// together that the others wait for.
func (f fault) refusals() int {
	return map[fault]int{stubborn: enableTries + 2, sealed: enableTries * (DefaultSettleLooks + 3)}[f]
}

// world is a model of a service with one peering: gateways, pods, an API server with the journal. Its links follow the rules
// that the stand-in has, without sockets.
type world struct {
	mutex    sync.Mutex
	begin    time.Time
	gateways map[types.UID]*modelGateway
	pods     []Pod
	primary  string // address
	// noLeaderSince is when the primary was lost.
	noLeaderSince time.Time
	open          []Reset
	events        []event
	// crashAt is the number of the write at which the process dies; writes counts them. after says that it is done still.
	crashAt, writes int
	after           bool
	die             context.CancelFunc
	generation      int
	broken          []string
	// history tells what happened, for the reader of a scenario that failed.
	history []string
	links   string
	resets  int
	writing bool
	// relink is how long a member takes to be linked again after a reset.
	relink time.Duration
}

// event is something that happens to the pods at a time.
type event struct {
	at time.Duration
	do func(*world)
}

type modelGateway struct {
	pod      Pod
	fault    fault
	disabled bool
	userOff  bool
	refusals int
	// known are rows, and since when they are linked.
	known map[string]time.Time
	// reset is when it was reset last, or disabled for that.
	reset time.Time
	// told are the stale addresses that its last answer listed.
	told []string
}

func (w *world) violated(format string, values ...any) {
	w.broken = append(w.broken, fmt.Sprintf(format, values...))
	w.note("BROKEN: "+format, values...)
}

// note adds to the history.
func (w *world) note(format string, values ...any) {
	w.history = append(w.history, fmt.Sprintf("%8v ", time.Since(w.begin).Round(time.Millisecond))+fmt.Sprintf(format, values...))
}

// noteChange notes what every gateway is linked to, if that has changed since the last time.
func (w *world) noteLinks() {
	var texts []string
	for _, g := range w.sorted() {
		text := g.pod.Name + "=" + g.pod.IP
		if g.pod.IP == w.primary {
			text += " primary"
		}
		if g.disabled {
			text += " disabled"
		}
		for _, address := range slices.Sorted(maps.Keys(g.known)) {
			if !time.Now().Before(g.known[address]) {
				text += " " + map[bool]string{true: "+", false: "-"}[w.up(g, address)] + strings.TrimPrefix(address, "10.0.0.")
			}
		}
		texts = append(texts, text)
	}
	if links := strings.Join(texts, ", "); links != w.links {
		w.links = links
		w.note("%s", links)
	}
}

// tick lets everything happen that is due. Callers hold the mutex.
func (w *world) tick() {
	defer w.noteLinks()
	now := time.Now()
	for len(w.events) > 0 && now.Sub(w.begin) >= w.events[0].at {
		next := w.events[0]
		w.events = w.events[1:]
		next.do(w)
	}
	if leader := w.byAddress(w.primary); leader != nil && !leader.disabled {
		w.noLeaderSince = time.Time{}
		return
	}
	if w.noLeaderSince.IsZero() {
		w.noLeaderSince = now
	}
	if now.Sub(w.noLeaderSince) < time.Second {
		return
	}
	for _, g := range w.sorted() {
		up := 1
		for address := range g.known {
			if w.up(g, address) {
				up++
			}
		}
		if !g.disabled && up >= (len(g.known)+1)/2+1 {
			w.primary = g.pod.IP
			return
		}
	}
}

func (w *world) sorted() []*modelGateway {
	var all []*modelGateway
	for _, g := range w.gateways {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *modelGateway) int { return strings.Compare(a.pod.Name, b.pod.Name) })
	return all
}

func (w *world) byAddress(address string) *modelGateway {
	for _, g := range w.gateways {
		if g.pod.IP == address {
			return g
		}
	}
	return nil
}

// up tells whether a member is linked to an address.
func (w *world) up(g *modelGateway, address string) bool {
	other := w.byAddress(address)
	if other == nil || other.disabled || g.disabled {
		return false
	}
	now := time.Now()
	here, knows := g.known[address]
	there, known := other.known[g.pod.IP]
	return knows && known && !now.Before(here) && !now.Before(there)
}

// join links a gateway to all others at a time.
func (w *world) join(g *modelGateway, at time.Time) {
	for _, other := range w.gateways {
		if other != g && !other.disabled && !g.disabled {
			other.known[g.pod.IP], g.known[other.pod.IP] = at, at
		}
	}
}

// start adds a running gateway.
func (w *world) start(pod Pod, f fault) {
	g := &modelGateway{pod: pod, fault: f, known: map[string]time.Time{}}
	w.gateways[pod.UID] = g
	w.join(g, time.Now())
	if w.primary == "" {
		w.primary = pod.IP
	}
}

// stop removes a gateway.
func (w *world) stop(uid types.UID) { delete(w.gateways, uid) }

// stale are the rows of a gateway that nobody accounts for.
func (w *world) stale(g *modelGateway) []string {
	var found []string
	for address, since := range g.known {
		if time.Now().Before(since) {
			continue // it is not listed
		}
		owned := slices.ContainsFunc(w.pods, func(pod Pod) bool { return pod.IP == address })
		if !owned && !w.up(g, address) {
			found = append(found, address)
		}
	}
	return found
}

// active are the members that are linked to the primary, and all that could be.
func (w *world) active() (active, members []*modelGateway) {
	for _, g := range w.sorted() {
		if g.userOff {
			continue
		}
		members = append(members, g)
		if !g.disabled && (g.pod.IP == w.primary || w.up(g, w.primary)) {
			active = append(active, g)
		}
	}
	return active, members
}

// patience is how long others wait for a member that was reset.
const patience = DefaultSettleLooks * interval

// check checks the promises right before a reset of a gateway.
func (w *world) check(g *modelGateway, toggle bool) {
	w.resets++
	if len(w.stale(g)) == 0 {
		w.violated("reset of %s without a stale peer", g.pod.Name)
	}
	if slices.ContainsFunc(w.pods, func(pod Pod) bool { return pod.IP == "" && !pod.Terminating }) {
		w.violated("reset of %s while a pod has no address", g.pod.Name)
	}
	active, members := w.active()
	isActive := slices.Contains(active, g)
	if isActive && len(active) < len(members)/2+1 {
		w.violated("reset of %s without a quorum", g.pod.Name)
	}
	if isActive && len(members) > 2 && len(active)-1 < len(members)/2+1 {
		w.violated("reset of %s takes the quorum away: %d of %d", g.pod.Name, len(active), len(members))
	}
	for _, other := range members {
		if other != g && w.relinking(other) {
			w.violated("reset of %s while %s is not linked again", g.pod.Name, other.pod.Name)
		}
		if other != g && other.disabled && (toggle || time.Since(other.reset) < patience) {
			w.violated("reset of %s while %s is disabled", g.pod.Name, other.pod.Name)
		}
		now, _ := podByUID(w.pods, other.pod.UID)
		if other != g && g.pod.IP == w.primary && !now.Terminating && other.fault.healable() && len(other.told) > 0 {
			w.violated("reset of the primary %s before %s", g.pod.Name, other.pod.Name)
		}
	}
}

// relinking tells whether a member was reset and is not linked again with everybody, as long as others wait for that.
func (w *world) relinking(g *modelGateway) bool {
	if time.Since(g.reset) >= patience {
		return false
	}
	for address, since := range g.known {
		if other := w.byAddress(address); other != nil && !other.disabled && time.Now().Before(since) {
			return true
		}
	}
	return false
}

// checkReport checks that a process that is alive reports every peering that it left disabled.
func (w *world) checkReport(p process, report Report) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, pod := range report.Pods {
		g := w.gateways[pod.UID]
		if g == nil || !g.disabled || g.userOff || p.generation != w.generation {
			continue
		}
		if !slices.ContainsFunc(pod.Problems, func(p Problem) bool { return p.Reason == ReasonPeeringDisabled || p.Passing }) {
			w.violated("%s is disabled, and the report says nothing of it: %+v", g.pod.Name, pod)
		}
	}
}

// linksToCome tells whether a link that a reset dropped has still to come back.
func (w *world) linksToCome() bool {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	for _, g := range w.gateways {
		for _, since := range g.known {
			if time.Now().Before(since) {
				return true
			}
		}
	}
	return false
}

// forget is what a reset does.
func (w *world) forget(g *modelGateway) {
	w.note("%s forgets", g.pod.Name)
	g.known, g.reset = map[string]time.Time{}, time.Now()
	w.join(g, time.Now().Add(w.relink))
}

// process is one process of the operator in the model: what it does after its death has no effect.
type process struct {
	world      *world
	generation int
}

// write does a write, unless the process dies at it.
func (p process) write(do func() error) error {
	w := p.world
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if p.generation != w.generation {
		return errDead
	}
	w.tick()
	w.writes++
	w.note("write %d", w.writes)
	if w.writes == w.crashAt {
		if w.after {
			_ = do()
		}
		w.generation++
		w.die()
		return errDead
	}
	return do()
}

// Cached and Live implement Pods.
func (p process) Cached(context.Context, Service) ([]Pod, error) {
	p.world.mutex.Lock()
	defer p.world.mutex.Unlock()
	p.world.tick()
	return slices.Clone(p.world.pods), nil
}

func (p process) Live(ctx context.Context, service Service) ([]Pod, error) {
	return p.Cached(ctx, service)
}

// Begin and End implement Journal.
func (p process) Begin(_ context.Context, reset Reset) error {
	return p.write(func() error {
		for _, open := range p.world.open {
			toggles := open.Strategy == StrategyAdminState && reset.Strategy == StrategyAdminState
			if toggles || time.Since(open.Began.Time) < patience-time.Second { // Began is in whole seconds
				p.world.violated("two resets are open: %v and %v", open, reset)
			}
		}
		p.world.note("begin %s %s", reset.Pod, reset.Strategy)
		p.world.open = append(p.world.open, reset)
		return nil
	})
}

func (p process) End(_ context.Context, reset Reset) error {
	return p.write(func() error {
		p.world.note("end %s %s", reset.Pod, reset.Strategy)
		p.world.open = slices.DeleteFunc(p.world.open, func(open Reset) bool { return open == reset })
		return nil
	})
}

// Connect implements Gateways.
func (p process) Connect(_ context.Context, _ Service, pod Pod) (Gateway, error) {
	return &modelClient{process: p, uid: pod.UID, ip: pod.IP}, nil
}

type modelClient struct {
	process
	uid    types.UID
	ip     string
	closed bool
}

func (c *modelClient) Close() {
	c.world.mutex.Lock()
	defer c.world.mutex.Unlock()
	if c.closed {
		c.world.violated("a connection to %s was closed twice", c.uid)
	}
	c.closed = true
}

// use calls a function with the gateway, unless its fault is in the way.
func (c *modelClient) use(ctx context.Context, read func(*modelGateway) error) error {
	c.world.mutex.Lock()
	c.world.tick()
	g := c.world.gateways[c.uid]
	if c.closed {
		c.world.violated("a closed connection to %s was used", c.uid)
	}
	defer c.world.mutex.Unlock()
	if g == nil || g.pod.IP != c.ip {
		return datapower.ErrUnreachable
	}
	switch g.fault {
	case hanging:
		c.world.mutex.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
		}
		c.world.mutex.Lock()
		return fmt.Errorf("%w: no answer", datapower.ErrUnreachable)
	case failing:
		return errModel
	}
	return read(g)
}

func (c *modelClient) Domains(ctx context.Context) (domains []string, err error) {
	return []string{domain}, c.use(ctx, func(*modelGateway) error { return nil })
}

func (c *modelClient) GatewayPeerings(ctx context.Context, domain string) (objects []datapower.GatewayPeering, err error) {
	err = c.use(ctx, func(g *modelGateway) error {
		state := datapower.Enabled
		if g.disabled {
			state = datapower.Disabled
		}
		objects = []datapower.GatewayPeering{{Domain: domain, Name: "gwd", AdminState: state, EnablePeerGroup: true}}
		return nil
	})
	return objects, err
}

func (c *modelClient) PeeringStatus(ctx context.Context, _ string) (rows []datapower.PeeringStatus, err error) {
	err = c.use(ctx, func(g *modelGateway) error {
		if g.disabled {
			return nil
		}
		g.told = c.world.stale(g)
		row := func(address string, up bool) {
			link := "down"
			if up {
				link = datapower.LinkUp
			}
			rows = append(rows, datapower.PeeringStatus{Address: address, Name: "gwd", LinkStatus: link, Primary: address == c.world.primary})
		}
		row(g.pod.IP, g.pod.IP == c.world.primary || c.world.up(g, c.world.primary))
		for address, at := range g.known {
			if !time.Now().Before(at) { // it is found again when it links
				row(address, c.world.up(g, address))
			}
		}
		return nil
	})
	return rows, err
}

func (c *modelClient) Operations(ctx context.Context, _ string) (names []string, err error) {
	err = c.use(ctx, func(g *modelGateway) error {
		names = []string{"SaveConfig"}
		if !g.fault.actionless() {
			names = append(names, "PeeringReset")
		}
		return nil
	})
	return names, err
}

// change does a write to a gateway. The promises are checked when it is sent.
func (c *modelClient) change(ctx context.Context, check, do func(*modelGateway) error) error {
	alive := func(g *modelGateway) error {
		if c.generation != c.world.generation {
			return errDead
		}
		return check(g)
	}
	if err := c.use(ctx, alive); err != nil {
		return err
	}
	if c.world.writing {
		c.world.violated("two writes at once")
	}
	c.world.writing = true
	time.Sleep(10 * time.Millisecond)
	defer func() { c.world.writing = false }()
	return c.write(func() error {
		g := c.world.gateways[c.uid]
		if g == nil || g.pod.IP != c.ip {
			return datapower.ErrUnreachable
		}
		return do(g)
	})
}

func (c *modelClient) Action(ctx context.Context, _ string, body json.RawMessage) (datapower.ActionResult, error) {
	return datapower.ActionResult{}, c.change(ctx, func(g *modelGateway) error {
		if !strings.Contains(string(body), `"PeeringReset"`) || g.fault.actionless() {
			return datapower.ErrUnsupported
		}
		c.world.check(g, false)
		return nil
	}, func(g *modelGateway) error {
		if g.fault != lying {
			c.world.forget(g)
		}
		if g.fault == lossy {
			return errModel
		}
		return nil
	})
}

func (c *modelClient) SetAdminState(ctx context.Context, _, _ string, state datapower.AdminState) error {
	disable := state == datapower.Disabled
	c.world.mutex.Lock()
	c.world.note("set %s to %s", c.uid, state)
	c.world.mutex.Unlock()
	return c.change(ctx, func(g *modelGateway) error {
		if g.fault == refusing {
			return &datapower.APIError{Status: 400}
		}
		if g.userOff {
			c.world.violated("%s: a peering that its user disabled was set to %s", g.pod.Name, state)
		}
		if disable && !g.disabled {
			c.world.check(g, true)
		}
		return nil
	}, func(g *modelGateway) error {
		if g.fault == lying {
			return nil
		}
		if !disable && g.refusals < g.fault.refusals() {
			g.refusals++
			return errModel
		}
		if g.disabled && !disable {
			g.disabled = false
			c.world.forget(g)
		}
		if disable && !g.disabled {
			g.reset = time.Now()
		}
		g.disabled = disable
		return nil
	})
}
