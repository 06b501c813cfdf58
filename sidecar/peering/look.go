package peering

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/types"

	"github.com/datapower-operator/datapower-operator/sidecar/datapower"
)

// session identifies the gateway of a pod. A pod may get another address, and then is another gateway.
type session struct {
	uid types.UID
	ip  string
}

func sessionOf(pod Pod) session { return session{pod.UID, pod.IP} }

// looked is the result of a look at one gateway.
type looked struct {
	session session
	// epoch is the number of resets when the look began.
	epoch   int
	gateway Gateway // nil when there was no connection
	view    View
	// hidden are domains that the user may not see the peerings of.
	hidden []string
	err    error
}

// look lists the pods and looks at all active ones. It tells whether the pods are known.
func (r *run) look(ctx context.Context) bool {
	pods, err := r.worker.pods.Cached(ctx, r.service)
	if err != nil {
		r.podsUnknown(err)
		return false
	}
	r.pods, r.podsErr = pods, nil
	r.views = map[types.UID]View{}
	waiting := map[session]bool{}
	for _, pod := range pods {
		if !pod.active() {
			continue
		}
		s := sessionOf(pod)
		if !r.flying[s] {
			r.start(pod)
		}
		if !r.late[s] {
			waiting[s] = true
		}
	}
	r.gather(ctx, waiting)
	for s := range waiting {
		r.late[s] = true
	}
	r.count()
	return true
}

// start begins a look at one gateway.
func (r *run) start(pod Pod) {
	s := sessionOf(pod)
	gateway, epoch := r.gateways[s], r.epoch
	r.flying[s] = true
	r.looks.Go(func() {
		result := r.worker.lookAt(r.ctx, r.service, pod, gateway)
		result.epoch = epoch
		select {
		case r.results <- result:
		case <-r.ctx.Done():
			if gateway == nil && result.gateway != nil {
				result.gateway.Close()
			}
		}
	})
}

// gather takes results until everybody who is waited for has answered, or patience ends.
func (r *run) gather(ctx context.Context, waiting map[session]bool) {
	timer := r.worker.clock.NewTimer(r.worker.policy.Patience)
	defer timer.Stop()
	for len(waiting) > 0 {
		select {
		case result := <-r.results:
			delete(waiting, result.session)
			r.take(result)
		case <-timer.C():
			return
		case <-ctx.Done():
			return
		}
	}
	for {
		select {
		case result := <-r.results:
			r.take(result)
		default:
			return
		}
	}
}

// take notes a result.
func (r *run) take(result looked) {
	s := result.session
	delete(r.flying, s)
	delete(r.late, s)
	if result.gateway != nil {
		r.gateways[s] = result.gateway
	}
	pod, exists := podByUID(r.pods, s.uid)
	if !exists || pod.IP != s.ip {
		return
	}
	if result.err != nil {
		r.failed(pod, result.err)
		return
	}
	delete(r.errors, s.uid)
	delete(r.silent, s.uid)
	r.hidden[s.uid] = result.hidden
	if result.epoch == r.epoch { // else a reset has changed the links since
		r.views[s.uid], r.last[s.uid] = result.view, result.view
	}
}

// failed notes that a gateway could not be read.
func (r *run) failed(pod Pod, err error) {
	r.errors[pod.UID] = problemOf(pod, err)
	delete(r.views, pod.UID)
	if s := sessionOf(pod); errors.Is(err, datapower.ErrUnauthorized) && r.gateways[s] != nil && !r.flying[s] {
		r.gateways[s].Close() // the Secret may have another password meanwhile
		delete(r.gateways, s)
	}
}

// count counts the looks of those that gave no answer.
func (r *run) count() {
	for _, pod := range r.pods {
		if _, answered := r.views[pod.UID]; pod.active() && !answered {
			r.silent[pod.UID]++
		}
	}
}

// lookAt reads all peerings of one gateway.
func (w *Worker) lookAt(ctx context.Context, service Service, pod Pod, gateway Gateway) looked {
	result := looked{session: sessionOf(pod), gateway: gateway, view: View{}}
	select {
	case w.slots <- struct{}{}:
		defer func() { <-w.slots }()
	case <-ctx.Done():
		result.err = ctx.Err()
		return result
	}
	ctx, cancel := context.WithTimeout(ctx, w.policy.LookTimeout)
	defer cancel()
	if result.gateway == nil {
		if result.gateway, result.err = w.gateways.Connect(ctx, service, pod); result.err != nil {
			result.gateway = nil
			return result
		}
	}
	domains, err := result.gateway.Domains(ctx)
	if err != nil {
		result.err = err
		return result
	}
	for _, domain := range domains {
		view, err := readDomain(ctx, result.gateway, domain)
		switch {
		case isMissing(err):
			result.hidden = append(result.hidden, domain)
		case err != nil:
			result.err = err
			return result
		}
		for key, member := range view {
			result.view[key] = member
		}
	}
	return result
}

// readDomain reads the peerings of one domain, and their status if there are any.
func readDomain(ctx context.Context, gateway Gateway, domain string) (View, error) {
	objects, err := gateway.GatewayPeerings(ctx, domain)
	if err != nil {
		return nil, err
	}
	if len(makeView(domain, objects, nil)) == 0 {
		return View{}, nil
	}
	rows, err := gateway.PeeringStatus(ctx, domain)
	if err != nil {
		return nil, err
	}
	return makeView(domain, objects, rows), nil
}

func (r *run) podsUnknown(err error) {
	r.podsErr = &Problem{
		Reason: ReasonPodsUnknown, Message: fmt.Sprintf("listing the pods of the service: %v", err),
		Remedy: "The operator tries again by itself; if it stays so, check its permission to list pods",
	}
}
